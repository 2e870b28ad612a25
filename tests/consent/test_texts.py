"""The text that is shown, what may be answered to it, how it reached the person, and what a change of it touches."""

import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.permit import Actor
from consent.app import create_app
from consent.handlers.tables import LAW
from tests.consent.callers import (
    NURSE,
    POLICE,
    SCHOOL,
    Case,
    Desk,
    a_request,
    asked,
    person,
    problem,
    settings_for,
    staff,
)
from tests.consent.conftest import Databases, MakeCase
from tests.consent.looking import looks
from tests.consent.writing import DRAFT, FOLDER, WITHDRAWN, approved, folder, packaged, written

pytestmark = pytest.mark.asyncio(loop_scope="session")
OFFICER, LEADER = Actor("staff", "officer-1", (), "privacy-officer", None, "high"), staff(NURSE, role="leader")
Opened = Callable[..., AbstractAsyncContextManager[Desk]]
INTERPRETED = {"how": "interpreted", "by": "interpreter", "into": "so"}
VERSION = tomllib.loads(LAW.read_text())["version"]
SCHOOL_NB = tomllib.loads((FOLDER / "nb.toml").read_text())["text"][0]["services"]["school"]["does"]


@pytest.fixture
def opened(databases: Databases, engine: AsyncEngine, tmp_path: Path) -> Opened:
    """Another consent on the same database, with these files of texts: `async with opened("production", nb=...)`."""

    @asynccontextmanager
    async def start(mode: str = "synthetic", **files: str) -> AsyncIterator[Desk]:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        texts, signed = folder(place, **files), tmp_path / "approval.toml"
        signed.write_text(f'version = "{VERSION}"\nby = "Solvik kommune"\nat = 2026-11-22\n')
        settings = settings_for(databases.content, databases.keys, mode=mode, consent_texts=texts, law_approval=signed)
        app = create_app(settings, bus=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://consent") as client,
        ):
            yield Desk(client, engine)

    return start


def at(desk: Desk, case: Case) -> Case:
    """The same case, asked of another consent."""
    return Case(desk, case.body, case.id, case.subject, case.guardians)


async def words(case: Case, who: str) -> list[Any]:
    return await case.desk.rows(
        "SELECT text_version, language, conveyed, conveyed_by, conveyed_into FROM answer"
        " WHERE request::text = :r AND person::text = :p", r=case.id, p=who,
    )  # fmt: skip


@pytest.mark.requirement("F084", "F085")
async def test_a_reader_of_arabic_is_shown_the_text_and_each_services_purpose_from_right_to_left(
    make_case: MakeCase,
) -> None:
    case = await make_case(15, language="ar")
    text = (await case.seen_by(person(case.subject)))["text"]
    told = packaged()["ar"]["text"][0]
    assert (text["language"], text["direction"], text["way"], text["status"]) == ("ar", "rtl", "read", "draft")
    assert told["says"]["voluntary"] in text["body"]
    assert text["services"] == [
        {"service": POLICE, "name": f"Tjenesten {POLICE}", **told["services"]["police"]},
        {"service": NURSE, "name": f"Tjenesten {NURSE}", **told["services"]["health"]},
    ]  # fmt: skip
    assert (await case.seen_by(person(case.guardians[0])))["text"]["direction"] == "ltr"


async def test_nothing_is_told_of_a_service_that_this_reader_is_not_asked_about(make_case: MakeCase) -> None:
    case = await make_case(15, cells=[asked(NURSE, "health"), asked(SCHOOL, "participants")])
    shown = [(await case.seen_by(person(who)))["text"]["services"] for who in (case.subject, case.guardians[0])]
    assert [[one["service"] for one in services] for services in shown] == [[SCHOOL, NURSE], [NURSE]]


@pytest.mark.requirement("F084")
async def test_nothing_is_ticked_before_somebody_answers(make_case: MakeCase) -> None:
    case = await make_case(15)
    for who in (case.subject, *case.guardians):
        shown = await case.seen_by(person(who))
        assert shown["mine"] == []
        assert all(set(cell) == {"service", "categories", "actions"} for cell in shown["cells"])
    assert await case.cells() == set()


@pytest.mark.requirement("F085")
async def test_a_draft_is_not_used_in_production_and_the_way_goes_over_an_interpreter(
    make_case: MakeCase, opened: Opened
) -> None:
    case = await make_case(15, language="so")
    assert (await case.seen_by(person(case.subject)))["text"]["way"] == "read"
    files = {"nb": written("nb", p1=approved()), "en": written("en", p1=approved()), "so": written("so", p1=DRAFT)}
    async with opened("production", **files) as desk:
        there = at(desk, case)
        text = (await there.seen_by(person(case.subject), "en"))["text"]
        assert (text["language"], text["way"], text["status"]) == ("en", "interpreter", "approved")
        draft = await there.answer(case.subject, text_version="p1", language="so")
        assert problem(draft) == (409, "text-not-approved")
        assert problem(await there.answer(case.subject)) == (422, "text-not-conveyed")
        assert await words(case, case.subject) == []
        answered = await there.answer(case.subject, conveyed=INTERPRETED)
        assert answered.status_code == 202, answered.text
    assert set(await words(case, case.subject)) == {("p1", "nb", "interpreted", "interpreter", "so")}


@pytest.mark.parametrize(
    ("version", "language", "why"),
    [
        ("e1", "nb", "text-expired"), ("e4", "nb", "text-not-approved"), ("e5", "nb", "text-not-approved"),
        ("e9", "nb", "text-unknown"), ("e3", "fr", "text-unknown"), ("e1", "so", "text-withdrawn"),
    ],
)  # fmt: skip
async def test_an_answer_to_a_text_that_is_not_in_use_is_refused_for_what_it_is_and_changes_nothing(
    make_case: MakeCase, opened: Opened, version: str, language: str, why: str
) -> None:
    case = await make_case(15)
    nb = written("nb", e1=approved("2025-01-01", "2024-12-01"), e3=approved(), e4=approved("2400-01-01"), e5=DRAFT)
    async with opened(nb=nb, so=written("so", e1=WITHDRAWN)) as desk:
        there = at(desk, case)
        assert (await there.seen_by(person(case.subject)))["text"]["version"] == "e3"
        before = await case.desk.rows("SELECT version FROM subject WHERE id::text = :s", s=case.subject)
        refused = await there.answer(case.subject, text_version=version, language=language)
        assert problem(refused) == (409, why)
        assert await words(case, case.subject) == []
        assert await case.desk.rows("SELECT version FROM subject WHERE id::text = :s", s=case.subject) == before


async def test_whoever_is_not_asked_learns_nothing_from_the_text_they_name(make_case: MakeCase) -> None:
    case, other = await make_case(15), await make_case(15)
    body = {"cells": [{"service": NURSE, "category": "school", "action": "read", "answer": "yes"}]}
    for version in ("2026-11-2", "nothing"):
        sent = body | {"text_version": version, "language": "nb"}
        path = f"{case.path}/requests/{case.id}/answer"
        answer = await case.desk.ask("POST", path, person(other.subject), sent, subject=case.subject)
        assert problem(answer) == (404, "not-found")


@pytest.mark.parametrize(
    "conveyed",
    [
        {"how": "read", "by": "staff"}, {"how": "read-aloud"}, {"how": "interpreted", "by": "interpreter"},
        {"how": "interpreted", "into": "so"}, {"how": "read-aloud", "by": "staff", "into": "so"},
        {"how": "interpreted", "by": "relative", "into": "so"}, {"how": "interpreted", "by": "companion", "into": "so"},
        {"how": "interpreted", "by": "Kari Nordmann", "into": "so"}, {"how": "guessed"}, {"name": "Kari"},
        {"how": "interpreted", "by": "staff", "into": "Somali"},
    ],
)  # fmt: skip
async def test_how_a_text_reached_somebody_is_told_whole_by_role_and_never_by_name(
    make_case: MakeCase, conveyed: dict[str, str]
) -> None:
    case = await make_case(15)
    assert problem(await case.answer(case.subject, conveyed=conveyed)) == (422, "invalid")
    assert await words(case, case.subject) == []


@pytest.mark.requirement("F085")
async def test_a_grant_shows_which_text_each_yes_rests_on_and_how_it_reached_them(make_case: MakeCase) -> None:
    case = await make_case(15)
    youth, (mother, father) = case.subject, case.guardians
    await case.answer(youth)
    await case.answer(mother, conveyed=INTERPRETED)
    await case.answer(father, conveyed={"how": "read-aloud", "by": "relative"})
    await case.desk.confirm()

    async def evidence(who: str) -> dict[str, Any]:
        permit = case.permit("grants", "health", "school")
        found = await case.desk.ask("GET", f"{case.path}/grants", person(who), subject=youth, permit=permit)
        items = [one for one in found.json()["items"] if one["kind"] == "consent" and "health" in one["categories"]]
        assert items
        return {one["person"]: one for item in items for one in item["evidence"]}

    told = await evidence(youth)
    assert {id_: one["conveyed"] for id_, one in told.items()} == {
        youth: {"how": "read", "by": None, "into": None},
        mother: INTERPRETED,
        father: {"how": "read-aloud", "by": "relative", "into": None},
    }
    assert {(one["text_version"], one["language"]) for one in told.values()} == {
        ("2026-11-2", "nb"), ("2026-11-2", "nn"),
    }  # fmt: skip
    assert {id_: (one["capacity"], one["assurance"]) for id_, one in told.items()} == {
        youth: ("subject", "high"), mother: ("guardian", "high"), father: ("guardian", "high"),
    }  # fmt: skip
    assert (await evidence(mother)).keys() == {mother}


@pytest.mark.parametrize(
    "values",
    ["'read', 'staff', NULL", "'read-aloud', NULL, NULL", "'interpreted', 'staff', NULL", "NULL, 'staff', NULL"],
)
async def test_the_database_keeps_no_half_evidence(make_case: MakeCase, values: str) -> None:
    case = await make_case(15)
    await case.answer(case.subject)
    columns = "request, person, service, category, action, said, way, assurance, law_version, at"
    with pytest.raises(Exception, match=r"answer_(conveyed|interpreted)"):
        async with case.desk.engine.begin() as conn:
            await conn.exec_driver_sql(
                f"INSERT INTO answer ({columns}, conveyed, conveyed_by, conveyed_into)"
                f" SELECT {columns}, {values} FROM answer LIMIT 1"
            )


def history(prefix: str, **more: str) -> str:
    """A text in bokmål whose words about schools changed."""
    old, new = f"{prefix}1", f"{prefix}2"
    return written(
        "nb", (SCHOOL_NB, "Skolen er et hus."), **{old: approved("2025-01-01", "2024-12-01"), new: approved()}, **more
    )


async def consented(desk: Desk, *, services: tuple[str, ...], many: int = 1) -> list[Case]:
    """Adults who have agreed to these services, under the text of this consent."""
    cells = [asked(service, "leisure", actions=("read",)) for service in services]
    found = []
    for _ in range(many):
        case = await Case(desk, a_request(30, guardians=[], responsibility="ukjent", cells=cells)).made()
        assert (await case.answer(case.subject)).status_code == 202
        found.append(case)
    return found


async def counts(desk: Desk, prefix: str, actor: Actor = LEADER) -> dict[str, dict[str, Any]]:
    found = await desk.ask("GET", "/texts", actor)
    assert found.status_code == 200, found.text
    assert found.json()["fewest"] == 5
    return {
        one["version"]: one for one in found.json()["items"]
        if one["language"] == "nb" and one["version"].startswith(prefix)
    }  # fmt: skip


@pytest.mark.requirement("F085")
async def test_a_change_of_text_says_how_many_grants_rest_on_the_old_one_and_which_it_concerns(opened: Opened) -> None:
    before = written("nb", (SCHOOL_NB, "Skolen er et hus."), h1=approved("2025-01-01", "2024-12-01"))
    async with opened(nb=before) as desk:
        schools = await consented(desk, services=(SCHOOL, NURSE), many=5)
        await consented(desk, services=(POLICE,), many=5)
        assert (await counts(desk, "h"))["h1"] == {
            "language": "nb", "version": "h1", "status": "approved", "in_use": True, "changed": [],
            "grants": 15, "concerned": 0,
        }  # fmt: skip
    async with opened(nb=history("h")) as desk:
        found = await counts(desk, "h")
        assert found["h1"] == {
            "language": "nb", "version": "h1", "status": "approved", "in_use": False, "changed": ["services.school"],
            "grants": 15, "concerned": 5,
        }  # fmt: skip
        assert (found["h2"]["in_use"], found["h2"]["grants"]) == (True, 0)
        await at(desk, schools[0]).withdraw(schools[0].subject, SCHOOL)
        after = (await counts(desk, "h"))["h1"]
        assert (after["grants"], after["concerned"]) == (14, None)
        again = at(desk, schools[1])
        await again.answer(again.subject, "no")
        await again.answer(again.subject)
        assert (await counts(desk, "h"))["h2"]["grants"] is None
    async with opened(nb=written("nb", z1=approved())) as desk:
        gone = (await counts(desk, "h"))["h1"]
        assert (gone["status"], gone["in_use"], gone["changed"]) == ("unknown", False, None)
        assert (gone["grants"], gone["concerned"]) == (12, 12)


async def test_numbers_of_few_people_are_told_to_nobody_and_nothing_to_other_roles(opened: Opened) -> None:
    async with opened(nb=history("s")) as desk:
        await consented(desk, services=(SCHOOL, NURSE, POLICE), many=4)
        for actor in (LEADER, OFFICER, staff(NURSE, role="admin")):
            found = (await counts(desk, "s", actor))["s2"]
            assert (found["grants"], found["concerned"]) == (None, None)
        for actor in (staff(NURSE), person("11111111-1111-4111-8111-111111111111")):
            assert problem(await desk.ask("GET", "/texts", actor)) == (404, "not-found")


@pytest.mark.requirement("F085")
async def test_a_privacy_officer_sees_which_grants_rest_on_the_old_text_and_is_seen_by_each(opened: Opened) -> None:
    async with opened(
        nb=written("nb", (SCHOOL_NB, "Skolen er et hus."), o1=approved("2025-01-01", "2024-12-01"))
    ) as desk:
        [case] = await consented(desk, services=(SCHOOL, NURSE))
        [other] = await consented(desk, services=(POLICE,))
    async with opened(nb=history("o")) as desk:
        whole = (await desk.ask("GET", "/audit/texts/nb/o1", OFFICER)).json()
        assert whole["next"] is None
        grants = {(one["subject"], one["recipient"]): one["concerned"] for one in whole["items"]}
        assert grants == {
            (case.subject, f"service:{SCHOOL}"): True, (case.subject, f"service:{NURSE}"): False,
            (other.subject, f"service:{POLICE}"): False,
        }  # fmt: skip
        assert {one["request"] for one in whole["items"]} == {case.id, other.id}
        page = (await desk.ask("GET", "/audit/texts/nb/o1?limit=2", OFFICER)).json()
        rest = (await desk.ask("GET", f"/audit/texts/nb/o1?limit=2&after={page['next']}", OFFICER)).json()
        assert page["items"] + rest["items"] == whole["items"]
        for actor in (LEADER, staff(NURSE), person(case.subject)):
            assert problem(await desk.ask("GET", "/audit/texts/nb/o1", actor)) == (404, "not-found")
        only = (await desk.ask("GET", "/audit/texts/nb/o1?which=concerned", OFFICER)).json()
        assert [one["recipient"] for one in only["items"]] == [f"service:{SCHOOL}"]
        assert (await desk.ask("GET", "/audit/texts/nb/o2", OFFICER)).json() == {"items": [], "next": None}
        for who in (at(desk, case), at(desk, other)):
            items = (await looks(who, person(who.subject), "leisure"))["items"]
            by_officer = [one for one in items if one["route"] == "consent.audit-text"]
            assert by_officer
            assert {one["actor"]["role"] for one in by_officer} == {"privacy-officer"}
            assert all("samtykketekst" in one["text"] for one in by_officer)
