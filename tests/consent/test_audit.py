"""The privacy officer: who saw what over a period, counts without small numbers, and that role's own looks shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.http import PAPER
from chassis.permit import Actor
from consent.handlers import ledger
from consent.handlers.exports import MOST
from consent.handlers.ledger import Record
from consent.handlers.tables import current_law
from tests.consent.callers import AGENCY, NAMES, NURSE, POLICE, Desk, person, problem, staff
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, look, looks

pytestmark = pytest.mark.asyncio(loop_scope="session")
OFFICER = Actor("staff", "officer-1", (), "privacy-officer", None, "high")
LONG_AGO = datetime(2001, 3, 2, 12, tzinfo=UTC)
YEAR = [2001]


def a_day() -> datetime:
    """A day that no other test has looks on."""
    YEAR[0] += 1
    return LONG_AGO.replace(year=YEAR[0])


async def audit(
    desk: Desk, actor: Actor = OFFICER, path: str = "/audit/looks", subject: Any = None, **query: str
) -> Any:
    asked = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    return await desk.ask("GET", f"{path}?{asked}" if asked else path, actor, subject=subject)


def day(moment: datetime) -> str:
    return moment.date().isoformat()


def unknown_handle(at: datetime) -> Record:
    """A refusal of somebody who used a handle that means nobody."""
    made = look("", staff(POLICE), refused="unknown-subject", at=at)
    return Record(made.id, "look", "staff-x", None, {**made.content, "subject": None}, "staff", "staff-x")


@pytest.mark.requirement("F080")
async def test_a_privacy_officer_sees_who_saw_what_over_a_period(make_case: MakeCase) -> None:
    first, other, at = await make_case(15), await make_case(15), a_day()
    seen = look(first.subject, staff(NURSE), "health", grants=("g1",), at=at)
    refused = look(other.subject, staff(POLICE), refused="no-grant", at=at + timedelta(hours=1))
    late = look(other.subject, staff(POLICE), "school", at=at + timedelta(days=1))
    nobody = unknown_handle(at)
    await append(first, seen, refused, late, nobody)
    found = (await audit(first.desk, from_=day(at), to=day(at))).json()
    assert {item["id"] for item in found["items"]} == {seen.id, refused.id, nobody.id}
    assert found["items"][0]["id"] == refused.id
    by_id = {item["id"]: item for item in found["items"]}
    assert (by_id[seen.id]["subject"], by_id[refused.id]["subject"], by_id[nobody.id]["subject"]) == (
        first.subject, other.subject, None
    )  # fmt: skip
    assert by_id[seen.id]["actor"] == {
        "kind": "staff", "id": f"staff-{NURSE}", "services": [NURSE], "role": "professional", "agency": AGENCY,
    }  # fmt: skip
    assert "text" not in by_id[seen.id]
    one = (await audit(first.desk, from_=day(at), to=day(at), service=POLICE, outcome="refused")).json()["items"]
    assert {item["id"] for item in one} == {refused.id, nobody.id}


@pytest.mark.requirement("F080")
async def test_the_officers_own_look_is_in_the_list_of_everybody_it_was_about(make_case: MakeCase) -> None:
    first, other, apart, at = await make_case(15), await make_case(15), await make_case(15), a_day()
    await append(first, look(first.subject, staff(NURSE), "health", at=at), look(first.subject, staff(NURSE), at=at))
    await append(other, look(other.subject, staff(NURSE), "health", at=at))
    assert (await audit(first.desk, from_=day(at), to=day(at))).status_code == 200
    for case in (first, other):
        [item] = [
            one for one in (await looks(case, person(case.subject)))["items"] if one["route"] == "consent.audit-looks"
        ]
        assert (item["actor"]["role"], item["action"], item["basis"]) == (
            "privacy-officer",
            "read",
            "role:privacy-officer",
        )
        assert "Personvernombudet kontrollerte hvem som har sett i loggen." in item["text"]
    assert (await looks(apart, person(apart.subject)))["items"] == []


async def test_the_record_of_an_audit_is_durable_before_its_answer(make_case: MakeCase, monkeypatch: Any) -> None:
    case, at = await make_case(15), a_day()
    await append(case, look(case.subject, staff(NURSE), "health", at=at))

    async def fails(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr("consent.handlers.audit.ledger.append", fails)
    answer = await audit(case.desk, from_=day(at), to=day(at))
    assert problem(answer) == (503, "unavailable")


async def test_pages_of_an_audit_join_without_gaps_though_each_adds_records(make_case: MakeCase) -> None:
    case, at = await make_case(15), a_day()
    records = [look(case.subject, staff(NURSE), "school", at=at + timedelta(minutes=n // 2)) for n in range(7)]
    await append(case, *records)
    found: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = (await audit(case.desk, from_=day(at), limit="3", to=day(at), **after)).json()
        found += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(found) == len(set(found)) == 7
    assert set(found) == {record.id for record in records}
    foreign = await audit(case.desk, from_=day(at), to=day(at), service=NURSE, **after)
    assert problem(foreign) == (400, "invalid-cursor")


async def test_one_subject_is_audited_under_its_handle_alone(make_case: MakeCase) -> None:
    case, other, at = await make_case(15), await make_case(15), a_day()
    mine = look(case.subject, staff(NURSE), "health", at=at)
    await append(case, mine, look(other.subject, staff(NURSE), "health", at=at))
    found = await audit(case.desk, path=f"{case.path}/audit", subject=case.subject, from_=day(at), to=day(at))
    assert [item["id"] for item in found.json()["items"]] == [mine.id]


@pytest.mark.requirement("F080")
async def test_a_breach_export_is_rows_in_one_piece(make_case: MakeCase, monkeypatch: Any) -> None:
    case, at = await make_case(15), a_day()
    await append(case, *(look(case.subject, staff(NURSE), "health", at=at) for _ in range(3)))
    answer = await audit(case.desk, from_=day(at), to=day(at), format="csv")
    assert answer.headers["content-type"] == PAPER
    body = answer.json()
    fields = [column["field"] for column in body["paper"]["columns"]]
    assert fields[:2] == ["subject", "actor.id"]
    assert not {"text", "question.text", "question.answer"} & set(fields)
    assert len(body["items"]) == 3
    before = len((await looks(case, person(case.subject)))["items"])
    monkeypatch.setattr("consent.handlers.exports.MOST", 2)
    assert problem(await audit(case.desk, from_=day(at), to=day(at), format="csv")) == (422, "too-many")
    assert len((await looks(case, person(case.subject)))["items"]) == before, "what was not shown is no look"
    assert MOST == 2000


@pytest.mark.parametrize(
    "actor", [staff(NURSE), staff(NURSE, role="leader"), person("somebody"), Actor("machine", "a")]
)
async def test_nobody_but_a_privacy_officer_audits(make_case: MakeCase, actor: Actor) -> None:
    case, period = await make_case(15), dict[str, Any](from_="2026-01-01", to="2026-02-01")
    for path, subject in (("/audit/looks", None), (f"{case.path}/audit", case.subject), ("/audit/statistics", None)):
        assert problem(await audit(case.desk, actor, path, subject, **period)) == (404, "not-found")


@pytest.mark.parametrize(
    "period",
    [
        {},
        {"to": "2026-01-01"},
        {"from_": "2026-02-02", "to": "2026-01-01"},
        {"from_": "2024-01-01", "to": "2026-01-01"},
    ],
)
async def test_a_period_has_a_beginning_and_at_most_a_year(desk: Desk, period: dict[str, Any]) -> None:
    assert problem(await audit(desk, **period)) == (422, "period-too-long")
    if len(period) == 2:
        assert problem(await audit(desk, path="/audit/statistics", **period)) == (422, "period-too-long")


@pytest.mark.requirement("F080")
async def test_statistics_count_by_day_and_hide_what_few_people_are_behind(make_case: MakeCase) -> None:
    cases, at = [await make_case(15) for _ in range(5)], a_day()
    evening = at.replace(hour=23, minute=30)  # the next day where the municipality is
    for case in cases:
        await append(
            case, look(case.subject, staff(NURSE), "health", at=at), look(case.subject, staff(POLICE), at=evening)
        )
    await append(cases[0], *(look(cases[0].subject, staff(POLICE), refused="no-grant", at=at) for _ in range(9)))
    answer = (
        await audit(cases[0].desk, path="/audit/statistics", from_=day(at), to=day(at + timedelta(days=1)))
    ).json()
    assert answer["fewest"] == 5
    told = {(one["day"], one["service"], one["action"], one["outcome"]): one["looks"] for one in answer["items"]}
    assert told == {
        (day(at), NURSE, "read", "answered"): 5,
        (day(at), POLICE, "read", "refused"): None,
        (day(at + timedelta(days=1)), POLICE, "read", "answered"): 5,
    }  # fmt: skip
    assert not {"subject", "actor", "id"} & {name for one in answer["items"] for name in one}


async def test_an_erased_look_is_found_nowhere(make_case: MakeCase, desk: Desk) -> None:
    case, at = await make_case(15), a_day()
    await append(case, *(look(case.subject, staff(NURSE), "health", at=at) for _ in range(2)))
    async with desk.engine.begin() as conn:
        assert await ledger.erase(conn, NAMES, case.subject) == 2
    assert (await looks(case, person(case.subject)))["items"] == []
    assert (await audit(desk, from_=day(at), to=day(at))).json()["items"] == []
    rows = await desk.rows(
        "SELECT at, services, action, outcome FROM ledger WHERE chain = :c", c=NAMES.of(case.subject)
    )
    assert [tuple(row) for row in rows] == [(None, None, None, None)] * 2


@pytest.mark.requirement("F080")
async def test_the_record_of_processing_names_what_there_is_now(make_case: MakeCase) -> None:
    case = await make_case(15)
    record = (await audit(case.desk, path="/audit/processing")).json()
    rows = {row["activity"]: row for row in record["items"]}
    assert rows.keys() == {"consent", "log", "looks", "notices", "staff"}
    assert AGENCY in record["controllers"]
    assert {"health", "school", "participants"} <= set(rows["log"]["categories"])
    assert rows["log"]["services"] == rows["looks"]["services"] != []
    assert rows["notices"]["services"] == rows["notices"]["categories"] == []
    assert rows["consent"]["law"] == [current_law().version]
    assert any(text.startswith("nb ") for text in rows["consent"]["texts"])
    assert "samtykke" in rows["consent"]["purpose"]


@pytest.mark.requirement("F080")
async def test_the_record_of_processing_is_a_file_too_and_for_the_officer_alone(make_case: MakeCase) -> None:
    desk = (await make_case(15)).desk
    answer = await audit(desk, path="/audit/processing", format="csv")
    assert answer.headers["content-type"] == PAPER
    body = answer.json()
    assert {column["field"] for column in body["paper"]["columns"]} == body["items"][0].keys()
    for actor in (staff(NURSE), staff(NURSE, role="leader"), person("somebody"), Actor("machine", "a")):
        assert problem(await audit(desk, actor, "/audit/processing")) == (404, "not-found")
