"""Keeping something from those who see by law: who may, how it is judged, and that nobody else hears of it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from chassis.events import Event
from chassis.permit import Actor, Kept
from consent.handlers import made
from consent.messages import Above, LogChanged
from tests.consent.callers import NURSE, POLICE, SCHOOL, Case, person, problem, staff
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, look, looks

pytestmark = pytest.mark.asyncio(loop_scope="session")
SISTER = staff(NURSE)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def keep(case: Case, actor: Actor, category: str = "health", **more: Any) -> httpx.Response:
    key = more.pop("key", None)
    body = {"category": category, **more}
    return await case.desk.ask("POST", f"{case.path}/keepings", actor, body, subject=case.subject, key=key)


async def step(case: Case, actor: Actor, keeping: str, what: str, **body: Any) -> httpx.Response:
    path = f"{case.path}/keepings/{keeping}/{what}"
    return await case.desk.ask("POST", path, actor, body or None, subject=case.subject)


async def judge(case: Case, actor: Actor, keeping: str, reason: str | None) -> httpx.Response:
    return await step(case, actor, keeping, "reason", reason=reason, reference="Journal 2026/17")


async def listed(case: Case, actor: Actor) -> list[dict[str, Any]]:
    found = await case.desk.ask("GET", f"{case.path}/keepings", actor, subject=case.subject)
    assert found.status_code == 200, found.text
    return list(found.json()["items"])


async def published(case: Case) -> dict[str, Any]:
    nothing: dict[str, Any] = {"categories": [], "items": []}
    return dict((await case.desk.state(case.subject)).get("kept", nothing))


@pytest.mark.requirement("F093")
async def test_from_twelve_a_youth_keeps_a_category_and_it_is_done_when_every_gateway_knows(
    make_case: MakeCase,
) -> None:
    case = await (await make_case(13)).everybody_agrees()
    youth, before, told = person(case.subject), await case.desk.state(case.subject), len(await case.events())
    done = await keep(case, youth)
    assert (done.status_code, done.json()["status"]) == (202, "pending")
    after = await case.desk.state(case.subject)
    assert after.pop("kept") == {"categories": ["health"], "items": []}
    assert after["version"] == before["version"] + 1
    assert (after["grants"], after["requests"]) == (before["grants"], before["requests"])  # nothing of it tells
    assert len(await case.events()) == told
    await case.desk.confirm()
    assert (await case.events())[told:] == ["consent.sight-changed.v1"]
    [shown] = await listed(case, youth)
    assert (shown["state"], shown["status"], shown["reason"]) == ("waiting", "confirmed", None)
    assert (await keep(case, youth)).status_code == 201
    assert len(await listed(case, youth)) == 1


@pytest.mark.requirement("F093")
async def test_a_professional_sets_the_reason_and_the_youth_lifts_it_again(make_case: MakeCase) -> None:
    case = await make_case(15)
    youth = person(case.subject)
    keeping = (await keep(case, youth)).json()["id"]
    await case.desk.confirm()
    assert (await judge(case, SISTER, keeping, "wish-respected")).status_code == 200
    for actor in (youth, SISTER):
        [shown] = await listed(case, actor)
        assert (shown["state"], shown["reason"], shown["reference"], shown["service"]) == (
            "kept", "wish-respected", "Journal 2026/17", NURSE,
        )  # fmt: skip
    [[stored]] = await case.desk.rows(
        "SELECT reference FROM keeping WHERE subject::text = :s AND word = 'reason'", s=case.subject
    )
    assert b"Journal" not in stored
    assert (await step(case, youth, keeping, "lift")).status_code == 202
    assert await published(case) == {"categories": [], "items": []}
    await case.desk.confirm()
    assert (await step(case, youth, keeping, "lift")).status_code == 200
    assert [one["state"] for one in await listed(case, youth)] == ["lifted"]
    anew = (await keep(case, youth)).json()["id"]
    assert anew != keeping
    assert await published(case) == {"categories": ["health"], "items": []}


async def test_a_wish_that_is_not_to_be_respected_is_kept_no_longer_and_only_the_youth_is_told(
    make_case: MakeCase,
) -> None:
    case = await make_case(13)
    keeping = (await keep(case, person(case.subject), "school")).json()["id"]
    assert (await judge(case, SISTER, keeping, None)).status_code == 202
    assert await published(case) == {"categories": [], "items": []}
    await case.desk.confirm()
    rows = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type = 'consent.sight-changed.v1' ORDER BY seq",
        s=case.subject,
    )
    assert b'"tell": ["service:' in bytes(rows[0][0]).replace(b'":', b'": ').replace(b":  ", b": ")
    assert f"person:{case.subject}".encode() in bytes(rows[1][0])
    assert problem(await judge(case, SISTER, keeping, "danger")) == (404, "not-found")


async def test_an_item_is_kept_by_itself(make_case: MakeCase) -> None:
    case, item = await make_case(14), str(uuid4())
    youth = person(case.subject)
    keeping = (await keep(case, youth, "school", item=item)).json()["id"]
    assert await published(case) == {"categories": [], "items": [{"id": item, "category": "school"}]}
    await step(case, youth, keeping, "lift")
    assert "kept" not in await case.desk.state(case.subject)


async def test_a_professional_keeps_on_their_own_only_from_danger_and_only_their_service_lifts_it(
    make_case: MakeCase,
) -> None:
    case = await make_case(9)
    assert problem(await keep(case, SISTER)) == (422, "reason-needed")
    wish = {"reason": "wish-respected", "reference": "BVT 12"}
    assert problem(await keep(case, SISTER, **wish)) == (422, "reason-unknown")
    done = await keep(case, SISTER, reason="danger", reference="BVT 12")
    assert done.status_code == 202
    keeping = done.json()["id"]
    assert await published(case) == {"categories": ["health"], "items": []}
    assert problem(await judge(case, SISTER, keeping, None)) == (404, "not-found")
    assert problem(await step(case, person(case.subject), keeping, "lift")) == (404, "not-found")
    assert (await step(case, SISTER, keeping, "lift")).status_code == 202
    assert await published(case) == {"categories": [], "items": []}


@pytest.mark.parametrize("age", [11, 18, 30])
async def test_who_is_not_between_twelve_and_eighteen_keeps_nothing(make_case: MakeCase, age: int) -> None:
    case = await make_case(age, **({"guardians": []} if age >= 18 else {}))
    assert problem(await keep(case, person(case.subject))) == (403, "keep-not-yours")
    assert await published(case) == {"categories": [], "items": []}


async def test_nobody_else_learns_whether_anything_is_kept(make_case: MakeCase) -> None:
    case, empty = await make_case(13), await make_case(13)
    keeping = (await keep(case, person(case.subject))).json()["id"]
    others = [person(case.guardians[0]), person(empty.subject), staff(SCHOOL), staff(NURSE, role="admin")]
    answers = set()
    for actor in others[:3]:
        for path in (case.path, empty.path):
            done = await case.desk.ask("GET", f"{path}/keepings", actor, subject=path.removeprefix("/subjects/"))
            if actor.id != path.removeprefix("/subjects/"):
                answers.add((done.status_code, done.content))
        for found in (await keep(case, actor), await step(case, actor, keeping, "lift")):
            answers.add((found.status_code, found.content))
        if actor.kind == "staff":
            found = await judge(case, actor, keeping, "danger")
            answers.add((found.status_code, found.content))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404
    assert await listed(case, others[3]) == []
    assert problem(await judge(case, others[3], keeping, "danger")) == (403, "keep-not-yours")
    assert [one["state"] for one in await listed(case, person(case.subject))] == ["waiting"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"category": "weather"}, (422, "category-unknown")),
        ({"category": "looks"}, (422, "category-unknown")),
        ({"category": "participants"}, (422, "category-unknown")),
        ({"item": "no-id"}, (422, "invalid")),
        ({"reason": "danger", "reference": "mine"}, (403, "keep-not-yours")),
        ({"reference": "\n  "}, (422, "invalid")),
        ({"until": "2030-01-01"}, (422, "invalid")),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_changes_nothing(
    make_case: MakeCase, more: dict[str, Any], told: tuple[int, str]
) -> None:
    case = await make_case(13)
    before = await case.desk.state(case.subject)
    assert problem(await keep(case, person(case.subject), **more)) == told
    assert await case.desk.state(case.subject) == before


async def test_keeping_needs_a_log_in_of_high_assurance(make_case: MakeCase) -> None:
    case = await make_case(13)
    assert problem(await keep(case, person(case.subject, "substantial"))) == (403, "assurance-too-low")


async def test_the_reason_is_given_by_those_whom_the_table_names(make_case: MakeCase) -> None:
    case = await make_case(13)
    keeping = (await keep(case, person(case.subject))).json()["id"]
    assert problem(await judge(case, SISTER, keeping, "weather")) == (422, "reason-unknown")
    more = {**case.body, "asker": POLICE}
    assert (await case.desk.ask("POST", "/requests", staff(POLICE), more)).status_code == 201
    assert problem(await judge(case, staff(POLICE), keeping, "danger")) == (403, "keep-not-yours")
    assert await listed(case, staff(POLICE)) == []


async def test_repeated_under_its_key_it_is_one_keeping_and_what_is_kept_is_only_added_to(make_case: MakeCase) -> None:
    case = await make_case(13)
    youth = person(case.subject)
    first, again = [await keep(case, youth, key="keep-once-1") for _ in range(2)]
    assert first.json() == again.json()
    for query in ("UPDATE keeping SET word = 'lifted'", "DELETE FROM keeping", "TRUNCATE keeping"):
        with pytest.raises(DBAPIError):
            await case.desk.rows(query)


async def test_it_stands_on_the_subjects_record_and_a_professionals_names_no_category(make_case: MakeCase) -> None:
    case = await make_case(13)
    await keep(case, person(case.subject))
    await keep(case, SISTER, "school", reason="danger", reference="BVT 12")
    await keep(case, person(case.guardians[0]))
    rows = await case.desk.rows(
        "SELECT actor_kind, categories, outcome FROM ledger WHERE subject::text = :s ORDER BY sequence", s=case.subject
    )
    assert [(row.actor_kind, list(row.categories), row.outcome) for row in rows] == [
        ("person", ["health"], "answered"), ("staff", [], "answered"), ("person", [], "refused"),
    ]  # fmt: skip


# -- what those who see by law are told ------------------------------------------------------------------------------


async def as_told(case: Case, who: str, *, kept: bool) -> bytes:
    """Everything that consent tells a guardian, without ids; kept: as the gateway signs it then."""
    hides = None
    if kept:
        found = await published(case)
        hides = Kept(tuple(found["categories"]), tuple(one["id"] for one in found["items"]), who)
    permit = replace(case.permit("looks", "grants", "school", "health", "participants"), kept=hides)
    told = []
    for path in ("/looks", "/looks/export?format=json", "/looks/export?format=csv", "/grants", "/requests"):
        answer = await case.desk.ask("GET", case.path + path, person(who), subject=case.subject, permit=permit)
        text = answer.text
        for number, id_ in enumerate((case.subject, *case.guardians)):
            text = text.replace(id_, f"person {number}")
        if path in ("/grants", "/requests"):  # in the order of ids, which are another family's
            text = json.dumps(sorted_by_content(json.loads(text)))
        told.append((path, answer.status_code, sorted(answer.headers), text))
    return unnamed(json.dumps(told)).encode()


def first_difference(one: bytes, other: bytes) -> str:
    """Where they begin to differ: pytest's own comparison of so many bytes takes a minute."""
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return "" if one == other else f"{one[place - 80 : place + 80]!r} is not {other[place - 80 : place + 80]!r}"


def sorted_by_content(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_by_content(one) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    return sorted((sorted_by_content(one) for one in value), key=lambda one: unnamed(json.dumps(one)))


def unnamed(text: str) -> str:
    """Without ids, moments and hashes: those are another family's."""
    for pattern in (_UUID, _MOMENT, _HASH):
        text = pattern.sub("<>", text)
    return text


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z|\d{1,2}\. \w+ \d{4} kl\. \d\d:\d\d|[0-9]{1,2}:[0-9]{2}")
_HASH = re.compile(r"[0-9a-f]{24,}|[A-Za-z0-9+/]{43}=")


async def lived(case: Case, *, with_kept: bool) -> None:
    """Looks at a log in which something was kept and later written to, or in which it never was."""
    ids = {one["recipient"].removeprefix("service:"): one["id"] for one in await case.grants()}
    nurse, mother = SISTER, person(case.guardians[0])
    usual = [
        look(case.subject, nurse, "school", "health", grants=(ids[NURSE],), at=NOON),
        look(case.subject, mother, "school", "health", at=NOON + timedelta(minutes=1)),
    ]
    wrote = look(
        case.subject, nurse, "school", grants=(ids[NURSE],), at=NOON + timedelta(minutes=2), action="contribute",
        route="logbook.add-entry",
    )  # fmt: skip
    await append(case, *usual, wrote)
    await made_was(case, wrote.id, str(uuid4()), "school")
    if not with_kept:
        return
    secret = look(
        case.subject, nurse, "health", grants=(ids[NURSE],), at=NOON + timedelta(minutes=3), action="contribute",
        route="logbook.add-entry",
    )  # fmt: skip
    wide = look(
        case.subject, nurse, "school", "health", grants=(ids[NURSE],), at=NOON + timedelta(minutes=4),
        action="contribute", route="logbook.start-measure",
    )  # fmt: skip
    under = look(
        case.subject, nurse, "school", "health", grants=(ids[NURSE],), at=NOON + timedelta(minutes=5),
        action="contribute", route="logbook.evaluate-measure",
    )  # fmt: skip
    await append(case, secret, wide, under)
    await made_was(case, secret.id, str(uuid4()), "health")
    await made_was(case, wide.id, str(uuid4()), "health")
    await made_was(case, under.id, str(uuid4()), "school", above="health")


async def made_was(case: Case, record: str, item: str, category: str, above: str | None = None) -> None:
    """What the logbook's event says that this write made."""
    told = LogChanged(
        subject=case.subject, item=item, category=category, at="2026-03-02T12:00:00.000Z", record=record,
        above=[] if above is None else [Above(item=str(uuid4()), category=above)],
    )  # fmt: skip
    event = Event(str(uuid4()), "entry.added.v1", "/samlogg/logbook", case.subject, NOON, {}, 1, None)
    async with case.desk.engine.begin() as conn:
        await made.take(conn, event, told)


@pytest.mark.requirement("F093")
async def test_a_guardian_is_told_the_same_bytes_as_if_what_is_kept_had_never_been(make_case: MakeCase) -> None:
    one, other = [await make_case(13, why="Samme") for _ in range(2)]
    for case in (one, other):  # in the same order: grants come as the answers do
        for who in (*case.guardians, case.subject):
            await case.answer(who)
        await case.desk.confirm()
    await lived(one, with_kept=True)
    await lived(other, with_kept=False)
    mother = one.guardians[0], other.guardians[0]
    assert await as_told(one, mother[0], kept=True) != await as_told(other, mother[1], kept=False)
    keeping = (await keep(one, person(one.subject))).json()["id"]
    pending = await as_told(one, mother[0], kept=True)
    await one.desk.confirm()
    await judge(one, SISTER, keeping, "wish-respected")
    for told in (pending, await as_told(one, mother[0], kept=True)):
        for without in (await as_told(other, mother[1], kept=True), await as_told(other, mother[1], kept=False)):
            assert first_difference(told, without) == ""


async def test_a_guardian_is_told_nothing_of_the_write_of_one_kept_item(make_case: MakeCase) -> None:
    case = await (await make_case(13)).everybody_agrees()
    await lived(case, with_kept=False)
    before = await as_told(case, case.guardians[0], kept=False)
    ids = {one["recipient"].removeprefix("service:"): one["id"] for one in await case.grants()}
    wrote = look(case.subject, SISTER, "school", grants=(ids[NURSE],), action="contribute")
    item = str(uuid4())
    await append(case, wrote)
    await made_was(case, wrote.id, item, "school")
    assert await as_told(case, case.guardians[0], kept=False) != before
    await keep(case, person(case.subject), "school", item=item)
    assert first_difference(await as_told(case, case.guardians[0], kept=True), before) == ""
    permit = replace(case.permit("looks", "school"), kept=Kept((), (item,), case.guardians[0]))
    asking = await case.desk.ask(
        "POST", f"{case.path}/looks/{wrote.id}/question", person(case.guardians[0]), {"text": "Hva var det?"},
        subject=case.subject, permit=permit,
    )  # fmt: skip
    assert problem(asking) == (404, "not-found")


async def test_the_youth_reads_of_a_guardians_look_only_what_was_not_kept_then(make_case: MakeCase) -> None:
    case = await (await make_case(13)).everybody_agrees()
    mother, now = person(case.guardians[0]), datetime.now(UTC)
    await append(case, look(case.subject, mother, "school", "health", at=now - timedelta(days=1)))
    keeping = (await keep(case, person(case.subject))).json()["id"]
    await case.desk.confirm()
    await append(case, look(case.subject, mother, "school", "health", at=now + timedelta(days=1)))
    seen = await looks(case, person(case.subject), "school", "health")
    theirs = [one["categories"] for one in seen["items"] if one["actor"]["id"] == mother.id]
    assert theirs == [["school"], ["school", "health"]]
    await step(case, person(case.subject), keeping, "lift")
    await case.desk.confirm()
    await append(case, look(case.subject, mother, "health", at=now + timedelta(days=2)))
    seen = await looks(case, person(case.subject), "school", "health")
    assert next(one["categories"] for one in seen["items"] if one["actor"]["id"] == mother.id) == ["health"]
