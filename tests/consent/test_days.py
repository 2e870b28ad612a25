"""What time alone brings: grants end by their date, requests open again on a birthday, people are warned in time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from chassis.clock import Clock
from consent import storage
from consent.app import create_app
from consent.handlers import days
from consent.handlers.tables import current_law
from consent.settings import Settings
from tests.consent.callers import NURSE, POLICE, SCHOOL, Case, Desk, ahead, asked, person, somebody, staff, today
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENDED, GRANTED, REQUESTED, WARNED = (
    f"consent.{name}.v1" for name in ("withdrawn", "granted", "requested", "ending-soon")
)
SCHOOL_ONLY = [asked(NURSE, "school", actions=("read",))]
HEALTH_ONLY = [asked(NURSE, "health", actions=("read",))]


def day(number: int) -> datetime:
    """The middle of a day, so many from today, where the municipality is."""
    on = today() + timedelta(days=number)
    return datetime(on.year, on.month, on.day, 11, tzinfo=UTC)


def turning(age: int, number: int) -> dict[str, Any]:
    """Somebody who becomes `age` in so many days."""
    on = today() + timedelta(days=number)
    return somebody(age, birth_date=date(on.year - age, on.month, on.day).isoformat())


async def look(case: Case, when: datetime) -> list[str]:
    """What the leader does when it looks then, at this subject alone; then it is confirmed. The events that came."""
    mine, told = storage.subject.c.id == case.subject, len(await case.events())
    async with case.desk.engine.begin() as conn:
        await conn.execute(update(storage.subject).where(~mine).values(due=None))
        await days.some(conn, current_law(), 10, when)
    await case.desk.confirm()
    return (await case.events())[told:]


async def due(case: Case) -> int | None:
    async with case.desk.engine.connect() as conn:
        found: int | None = await conn.scalar(select(storage.subject.c.due).where(storage.subject.c.id == case.subject))
        return found


@asynccontextmanager
async def later(case: Case, settings: Settings, number: int) -> AsyncIterator[Case]:
    """The same case at another consent, whose business clock is so many days ahead."""
    app = create_app(settings, clock=Clock(day(number) - datetime.now(UTC), movable=True), bus=False)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://consent") as client,
    ):
        yield replace(case, desk=Desk(client, case.desk.engine))


async def data_of(case: Case, kind: str) -> list[dict[str, Any]]:
    rows = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type = :t ORDER BY seq", s=case.subject, t=kind
    )
    return [json.loads(row[0]) for row in rows]


async def agreed(make_case: MakeCase, age: int, **more: Any) -> Case:
    """A case in force, and looked at since."""
    case = await (await make_case(age, **more)).everybody_agrees()
    await look(case, datetime.now(UTC))
    return case


async def test_a_grant_that_ends_by_its_date_raises_an_event_and_leaves_the_state(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(5))
    assert await look(case, day(5)) == []
    assert await look(case, day(6)) == [ENDED]
    [told] = await data_of(case, ENDED)
    assert (told["recipient"], told["reason"]) == (f"service:{NURSE}", "date")
    assert await case.grants() == []
    assert await look(case, day(7)) == [], "once"


@pytest.mark.requirement("F098")
@pytest.mark.parametrize(("age", "cells"), [(15, SCHOOL_ONLY), (18, HEALTH_ONLY)])
async def test_on_the_birthday_the_grant_ends_and_the_request_waits_for_the_youth_who_takes_over(
    make_case: MakeCase, settings: Settings, age: int, cells: list[dict[str, Any]]
) -> None:
    case = await agreed(make_case, age, **turning(age, 100), cells=cells)
    assert await case.cells()
    assert await look(case, day(99)) == [WARNED]
    assert await look(case, day(100)) == [REQUESTED, ENDED]
    assert (await data_of(case, REQUESTED))[-1]["asked"] == [case.subject]
    assert await case.grants() == []
    async with later(case, settings, 100) as then:
        for reader in (staff(NURSE), person(case.subject)):
            seen = await then.seen_by(reader)
            assert (seen["state"], seen["waiting_for"]) == ("waiting", ["subject"])
            assert seen["opened_again"] == (today() + timedelta(days=100)).isoformat()
        [mine] = (await then.seen_by(person(case.subject)))["mine"] or [{"counts": False}]
        assert mine["counts"] is False
        await then.answer(case.subject)
        await then.desk.confirm()
        assert await then.cells()
        seen = await then.seen_by(staff(NURSE))
        assert (seen["state"], seen["waiting_for"], seen["opened_again"]) == ("in-force", [], None)


async def test_who_decides_beside_others_from_a_birthday_on_is_asked_and_the_others_yes_stands(
    make_case: MakeCase, settings: Settings
) -> None:
    case = await agreed(make_case, 12, **turning(12, 40), cells=HEALTH_ONLY)
    assert await look(case, day(40)) == [REQUESTED, ENDED]
    async with later(case, settings, 40) as then:
        for reader in (staff(NURSE), person(case.guardians[0])):
            assert (await then.seen_by(reader))["waiting_for"] == ["subject"]
        await then.answer(case.subject)
        await then.desk.confirm()
        assert await then.cells()


async def test_the_state_says_whom_is_asked_from_the_day_on(make_case: MakeCase) -> None:
    case = await agreed(make_case, 12, **turning(12, 3), cells=SCHOOL_ONLY)
    version = (await case.desk.state(case.subject))["version"]
    assert await look(case, day(2)) == []
    assert (await case.desk.state(case.subject))["version"] == version
    assert await look(case, day(3)) == [REQUESTED], "a child of twelve is asked, without deciding"
    assert (await case.desk.state(case.subject))["version"] == version + 1
    assert await case.cells() == {(NURSE, "school", "read")}


async def test_a_leap_of_the_clock_over_many_birthdays_comes_to_the_same(
    make_case: MakeCase, settings: Settings
) -> None:
    case = await agreed(
        make_case, 12, **turning(12, 3), cells=[*SCHOOL_ONLY, asked(SCHOOL, "health")], until=ahead(1800)
    )
    assert set(await look(case, day(3 + 4 * 365))) == {REQUESTED, ENDED}
    async with later(case, settings, 3 + 4 * 365) as then:
        seen = await then.seen_by(staff(NURSE))
        assert (seen["state"], seen["waiting_for"]) == ("waiting", ["subject"])
    assert await look(case, day(3 + 4 * 365)) == []


async def test_a_fact_with_a_day_of_its_own_opens_the_request_for_those_who_answer_then(
    make_case: MakeCase, settings: Settings
) -> None:
    case = await agreed(make_case, 10, cells=SCHOOL_ONLY)
    async with case.desk.engine.begin() as conn:
        await storage.add_fact(
            conn,
            {
                "subject": case.subject, "kind": "responsibility", "value": "ukjent", "what": None, "people": [],
                "begins": today() + timedelta(days=10), "ends": None, "source": "test", "recorded_by": "x",
                "change": "00000000-0000-4000-8000-000000000000", "reference": b"", "recorded_at": datetime.now(UTC),
            },
        )  # fmt: skip
        await storage.raise_version(conn, case.subject)
    await look(case, datetime.now(UTC))
    assert ENDED in await look(case, day(10))
    async with later(case, settings, 10) as then:
        seen = await then.seen_by(staff(NURSE))
        assert (seen["state"], seen["waiting_for"]) == ("waiting", ["nobody"])


async def test_those_who_may_act_are_warned_ninety_thirty_and_seven_days_before_each_once(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(199))
    came = [(n, await look(case, day(n))) for n in (109, 110, 111, 169, 170, 171, 192, 193, 194, 199)]
    assert [n for n, events in came if events == [WARNED]] == [110, 170, 193]
    assert all(events in ([], [WARNED]) for _, events in came)
    told = await data_of(case, WARNED)
    assert [one["days"] for one in told] == [90, 30, 7]
    assert {one["reason"] for one in told} == {"period"}
    assert {(one["request"], one["asker"]) for one in told} == {(case.id, f"service:{NURSE}")}
    assert told[0]["people"] == [case.subject]
    text = str(told)
    assert case.body["given_name"] not in text and case.body["why"] not in text
    assert {"request", "subject", "asker", "grants", "people", "ends", "days", "reason"} == set(told[0])


async def test_after_a_leap_only_the_nearest_warning_comes(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(199))
    assert await look(case, day(195)) == [WARNED]
    assert [one["days"] for one in await data_of(case, WARNED)] == [7]
    assert await look(case, day(196)) == []


async def test_whatever_changes_after_a_warning_does_not_repeat_it(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(199))
    assert await look(case, day(110)) == [WARNED]
    async with case.desk.engine.begin() as conn:
        await storage.raise_version(conn, case.subject)
    assert await due(case) == 0
    assert await look(case, day(112)) == []


async def test_what_was_agreed_to_for_some_days_only_is_not_announced_as_ending_at_once(make_case: MakeCase) -> None:
    case = await (await make_case(15, cells=SCHOOL_ONLY, until=ahead(5))).everybody_agrees()
    assert await look(case, datetime.now(UTC)) == []


async def test_the_warning_before_a_birthday_says_that_others_decide_and_reaches_who_takes_over(
    make_case: MakeCase,
) -> None:
    case = await agreed(make_case, 15, **turning(15, 100), cells=SCHOOL_ONLY)
    await look(case, day(20))
    [told] = await data_of(case, WARNED)
    assert (told["days"], told["reason"]) == (90, "others-decide")
    assert set(told["people"]) == {case.subject, *case.guardians}


async def test_several_grants_of_a_request_that_end_together_are_one_warning(make_case: MakeCase) -> None:
    cells = [asked(NURSE, "school"), asked(POLICE, "leisure", actions=("read",))]
    case = await agreed(make_case, 15, cells=cells, until=ahead(60))
    assert await look(case, day(31)) == [WARNED]
    [told] = await data_of(case, WARNED)
    assert len(told["grants"]) == 2


async def test_two_leaders_that_look_at_once_warn_once(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(60))
    async with case.desk.engine.begin() as conn:
        await conn.execute(update(storage.subject).where(storage.subject.c.id != case.subject).values(due=None))

    async def one() -> None:
        async with case.desk.engine.begin() as conn:
            await days.some(conn, current_law(), 10, day(55))

    await asyncio.gather(one(), one(), one())
    assert len(await data_of(case, WARNED)) == 1


async def test_only_who_is_due_is_looked_at_and_so_many_at_a_time(make_case: MakeCase) -> None:
    cases = [await agreed(make_case, 15, cells=SCHOOL_ONLY, until=ahead(60)) for _ in range(3)]
    async with cases[0].desk.engine.begin() as conn:
        await conn.execute(update(storage.subject).values(due=None))
        await conn.execute(
            update(storage.subject).where(storage.subject.c.id.in_([case.subject for case in cases])).values(due=0)
        )
        law, now = current_law(), datetime.now(UTC)
        first, second = await days.some(conn, law, 2, now), await days.some(conn, law, 2, now)
        assert (len(first), len(second)) == (2, 1)
        assert {*first, *second} == {case.subject for case in cases}
        assert await days.some(conn, law, 2, now) == ()
    assert await due(cases[0]) == current_law().starts(today() + timedelta(days=31))
