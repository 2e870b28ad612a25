"""Who looked, in plain words and by filters; asking the service that looked; and the list as a file."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from chassis.clock import rfc3339
from chassis.http import PAPER
from chassis.keys import SubjectKeys
from chassis.permit import Actor
from consent.api import look_bodies
from consent.handlers import checkpoints, questions
from consent.model.notes import Signer
from tests.consent.callers import NAMES, NURSE, POLICE, SCHOOL, WELFARE, Case, asked, person, problem, staff
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, grants, look, looks

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


async def two_services(make_case: MakeCase) -> tuple[Case, dict[str, str]]:
    """A family whose mother was asked about the nurse; child welfare takes part, and she may not know."""
    cells = [asked(NURSE, "school", "health"), asked(WELFARE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()
    return case, await grants(case)


async def export(case: Case, actor: Actor, query: str, *categories: str, language: str = "nb") -> Any:
    return await case.desk.ask(
        "GET", f"{case.path}/looks/export?{query}", actor, subject=case.subject, language=language,
        permit=case.permit("looks", *categories),
    )  # fmt: skip


async def ask(case: Case, actor: Actor, look_: str, *categories: str, key: str | None = None, **body: Any) -> Any:
    return await case.desk.ask(
        "POST", f"{case.path}/looks/{look_}/question", actor, {"text": "Hvorfor så dere?"} | body,
        subject=case.subject, permit=case.permit("looks", *categories), key=key,
    )  # fmt: skip


async def asked_of(case: Case, actor: Actor, service: str, query: str = "") -> Any:
    return await case.desk.ask("GET", f"/services/{service}/questions{query}", actor)


async def reply(case: Case, actor: Actor, question: str, said: str = "Vi forberedte møtet.") -> Any:
    path = f"{case.path}/questions/{question}/answer"
    return await case.desk.ask("POST", path, actor, {"text": said}, subject=case.subject)


# -- in words ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("F176")
async def test_each_look_is_told_in_the_readers_own_language(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    await append(case, look(case.subject, staff(NURSE), "health", grants=(of[NURSE],), at=NOON))
    page = await looks(case, person(case.subject), language="en")
    assert page["words"] == {"version": "2026-11-1", "language": "nb", "status": "draft"}
    [item] = page["items"]
    assert item["text"].startswith("2. mars 2026 kl. 13.00: En som jobber i Tjenesten school-health leste om health.")
    father = person(case.guardians[1])  # whose language is nynorsk
    [theirs] = (await looks(case, father, "health"))["items"]
    assert "Ein som jobbar i Tjenesten school-health las om health." in theirs["text"]


@pytest.mark.requirement("F176")
async def test_writes_are_listed_with_the_kind_of_thing_that_was_changed(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    written: dict[str, Any] = {"action": "contribute", "route": "logbook.plan-measure"}
    await append(case, look(case.subject, staff(NURSE), "school", grants=(of[NURSE],), **written))
    await append(case, look(case.subject, staff(NURSE), "school", grants=(of[NURSE],)))
    [item] = (await looks(case, person(case.subject), action="contribute"))["items"]
    assert "skrev et tiltak om school." in item["text"]
    [item] = (await looks(case, person(case.guardians[0]), "school", action="contribute"))["items"]
    assert "skrev et tiltak om school." in item["text"]


async def test_a_sentence_is_made_of_what_is_left_after_the_cut(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    both = Actor("staff", "s-1", (NURSE, WELFARE), "professional", None, "high")
    await append(case, look(case.subject, both, "health", "participants", grants=(of[NURSE], of[WELFARE])))
    [item] = (await looks(case, person(case.guardians[0]), "school", "health"))["items"]
    assert item["actor"]["services"] == [NURSE]
    assert "health" in item["text"]
    for secret in ("child-welfare", "hvem som er med"):
        assert secret not in item["text"]
    [whole] = (await looks(case, person(case.subject)))["items"]
    assert "Tjenesten school-health og Tjenesten child-welfare leste om health og hvem som er med" in whole["text"]


async def test_only_the_service_in_whose_name_it_was_is_told(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    both = Actor("staff", "s-1", (NURSE, SCHOOL), "professional", None, "high")
    await append(case, look(case.subject, both, "health", grants=(of[NURSE],)), look(case.subject, both, refused="x"))
    refused, seen = (await looks(case, person(case.subject)))["items"]
    assert (seen["actor"]["services"], refused["actor"]["services"]) == ([NURSE], [NURSE, SCHOOL])
    assert len((await looks(case, person(case.subject), service=SCHOOL))["items"]) == 1
    assert len((await looks(case, person(case.subject), service=NURSE))["items"]) == 2


async def test_a_service_that_no_known_grant_names_is_not_told(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    await append(case, look(case.subject, staff(WELFARE), "health", grants=(of[NURSE],)))
    [item] = (await looks(case, person(case.guardians[0]), "health"))["items"]
    assert item["actor"]["services"] == []
    assert "En ansatt leste om health." in item["text"]


async def test_ones_own_look_is_you_and_anothers_is_what_they_are_to_the_log(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    await append(
        case, look(case.subject, person(case.subject), "school", purpose="insight"),
        look(case.subject, person(case.guardians[0]), "school", purpose="insight"),
    )  # fmt: skip
    guardian, own = (await looks(case, person(case.subject)))["items"]
    assert "En forelder eller foresatt leste om school. Det var lov fordi loven gir rett" in guardian["text"]
    assert "Du leste om school." in own["text"]
    [theirs] = (await looks(case, person(case.guardians[0]), "school"))["items"]
    assert "Du leste om school." in theirs["text"]


# -- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("F176")
async def test_looks_are_found_by_service_time_action_and_outcome(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    day = timedelta(days=1)
    old = look(case.subject, staff(NURSE), "school", grants=(of[NURSE],), at=NOON)
    new = look(case.subject, staff(NURSE), "school", grants=(of[NURSE],), at=NOON + day, action="contribute")
    other = look(case.subject, staff(POLICE), refused="no-grant", at=NOON + 2 * day)
    await append(case, old, new, other)
    me = person(case.subject)
    assert ids(await looks(case, me, service=NURSE)) == [new.id, old.id]
    assert ids(await looks(case, me, service=POLICE)) == [other.id]
    assert ids(await looks(case, me, outcome="refused")) == [other.id]
    assert ids(await looks(case, me, action="read", outcome="answered")) == [old.id]
    assert ids(await looks(case, me, from_="2026-03-03", to="2026-03-03")) == [new.id]
    assert ids(await looks(case, me, from_=rfc3339(NOON), to=rfc3339(NOON + day))) == [old.id]
    assert ids(await looks(case, me, to="2026-03-02")) == [old.id]
    assert ids(await looks(case, me, from_="2026-03-04")) == [other.id]


async def test_a_day_begins_where_the_municipality_is(make_case: MakeCase) -> None:
    case = await make_case(15)
    late = look(case.subject, staff(NURSE), "school", at=datetime(2026, 3, 2, 23, 30, tzinfo=UTC))
    await append(case, late)
    assert ids(await looks(case, person(case.subject), from_="2026-03-03", to="2026-03-03")) == [late.id]
    assert ids(await looks(case, person(case.subject), to="2026-03-02")) == []


async def test_a_filter_finds_nothing_that_was_cut_away(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    both = Actor("staff", "s-1", (NURSE, WELFARE), "professional", None, "high")
    await append(
        case, look(case.subject, both, "health", "participants", grants=(of[NURSE], of[WELFARE])),
        look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],)),
        look(case.subject, staff(POLICE), refused="no-grant"), look(case.subject, person(case.subject), "school"),
    )  # fmt: skip
    mother = person(case.guardians[0])
    assert len((await looks(case, mother, "school", "health", service=NURSE))["items"]) == 1
    for query in ({"service": WELFARE}, {"service": POLICE}, {"outcome": "refused"}, {"action": "none"}):
        assert await looks(case, mother, "school", "health", **query) == {
            "items": [], "next": None, "words": {"version": "2026-11-1", "language": "nb", "status": "draft"},
        }, query  # fmt: skip
    assert len((await looks(case, person(case.subject), service=WELFARE))["items"]) == 2


async def test_a_cursor_belongs_to_its_filter(make_case: MakeCase) -> None:
    case = await make_case(15)
    await append(case, *(look(case.subject, staff(NURSE), "school", at=NOON) for _ in range(3)))
    first = await looks(case, person(case.subject), service=NURSE, limit="2")
    rest = await looks(case, person(case.subject), service=NURSE, limit="2", after=first["next"])
    assert len(rest["items"]) == 1
    for query in ("", f"&service={SCHOOL}", f"&service={NURSE}&action=read", f"&service={NURSE}&from=2026-01-01"):
        answer = await case.desk.ask(
            "GET", f"{case.path}/looks?after={first['next']}{query}", person(case.subject), subject=case.subject,
            permit=case.permit("looks"),
        )  # fmt: skip
        assert problem(answer) == (400, "invalid-cursor"), query


@pytest.mark.parametrize(
    "query", ["from=2026-3-1", "from=yesterday", "to=2026-03-01T10:00:00", "to=1", "action=delete", "service=A%20b"]
)
async def test_a_filter_that_cannot_be_read_is_told(make_case: MakeCase, query: str) -> None:
    case = await make_case(15)
    answer = await case.desk.ask(
        "GET", f"{case.path}/looks?{query}", person(case.subject), subject=case.subject, permit=case.permit("looks")
    )
    assert problem(answer) == (422, "invalid")


# -- as a file -----------------------------------------------------------------------------------------------------


async def signed(case: Case) -> None:
    """A checkpoint of the tree as it is, as the task of the service makes it several times a second."""
    async with case.desk.engine.begin() as conn:
        await checkpoints.sign(conn, Signer("samlogg.test/ledger", b"l" * 32), datetime.now(UTC))


@pytest.mark.requirement("F176")
async def test_the_subjects_whole_list_as_json_comes_with_its_proofs(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    records = [look(case.subject, staff(NURSE), "health", grants=(of[NURSE],)) for _ in range(3)]
    await append(case, *records)
    await signed(case)
    answer = await export(case, person(case.subject), "format=json")
    assert answer.headers["content-type"] == PAPER
    document = json.loads(answer.json()["paper"]["content"])
    assert document["kind"] == "samlogg-looks"
    assert {"receipt", "checkpoint", "nodes", "key"} <= set(document)
    assert {item["entry"]["record"]["id"] for item in document["items"]} >= {record.id for record in records}
    assert case.subject not in answer.text


async def test_another_reader_and_a_part_of_the_list_get_no_proofs_and_are_told_so(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    await append(
        case, look(case.subject, staff(NURSE), "health", grants=(of[NURSE],)),
        look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],)),
    )  # fmt: skip
    await signed(case)
    theirs = (await export(case, person(case.guardians[0]), "format=json", "school", "health")).json()
    assert (theirs["proofs"], len(theirs["items"])) == (False, 1)
    assert "Den som loggen handler om, kan se alt" in theirs["about"]
    part = (await export(case, person(case.subject), f"service={WELFARE}")).json()
    assert (part["proofs"], len(part["items"])) == (False, 1)
    assert "Last den ned som JSON" in part["about"]
    for body in (theirs, part):
        assert not {"receipt", "checkpoint", "salt", "sequence"} & set(json.dumps(body).replace('"', " ").split())


@pytest.mark.requirement("F176")
async def test_a_page_to_print_says_what_it_is_and_how_to_check_it(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],), at=NOON)
    await append(case, seen)
    await signed(case)
    await ask(case, person(case.subject), seen.id)
    body = (await export(case, person(case.subject), "format=print&from=2026-03-01&to=2026-03-31")).json()
    paper = body["paper"]
    assert (paper["form"], paper["language"], paper["title"]) == ("print", "nb", "Hvem har sett i loggen")
    assert [column["field"] for column in paper["columns"]] == ["text", "question.text", "question.answer", "id"]
    assert any(text.startswith("Fra 1. mars 2026") for text in paper["before"])
    assert any("samlogg-verify" in text for text in paper["after"])
    assert paper["note"].startswith("samlogg.test/ledger receipt\n")
    assert len(body["items"]) == 1
    other = (await export(case, person(case.guardians[0]), "format=print", "health")).json()["paper"]
    assert other["note"] is None
    assert other["language"] == "nb"
    assert any("Listen viser det du har lov til å se" in text for text in other["before"])


async def test_rows_for_a_spreadsheet_hold_codes_and_the_sentence(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    await append(case, look(case.subject, staff(NURSE), "health", grants=(of[NURSE],)))
    body = (await export(case, person(case.subject), "format=csv")).json()
    titles = [column["title"] for column in body["paper"]["columns"]]
    assert titles[:3] == ["time", "services", "role"]
    assert {"text", "answer", "held_back", "id"} <= set(titles)
    assert "person" not in {column["field"] for column in body["paper"]["columns"]}


async def test_a_list_that_is_too_long_for_one_file_says_what_to_do(make_case: MakeCase, monkeypatch: Any) -> None:
    case, of = await two_services(make_case)
    await append(case, *(look(case.subject, staff(NURSE), "health", grants=(of[NURSE],), at=NOON) for _ in range(3)))
    await signed(case)
    monkeypatch.setattr("consent.handlers.exports.MOST", 2)
    monkeypatch.setattr("consent.handlers.exports.MOST_PROVED", 2)
    me = person(case.subject)
    for query in ("format=csv", "format=print", "format=json"):
        answer = await export(case, me, query)
        assert problem(answer) == (422, "too-many")
    assert (await export(case, me, "format=csv&from=2026-03-03")).json()["items"] == []


# -- asking --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("F176")
async def test_a_person_asks_the_service_in_one_call_and_reads_its_answer_in_the_list(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    me = person(case.subject)
    made = await ask(case, me, seen.id)
    assert made.status_code == 201
    assert made.json() | {"id": "", "asked_at": ""} == {
        "id": "", "service": NURSE, "state": "open", "text": "Hvorfor så dere?", "asked_at": "", "answer": None,
        "answered_at": None,
    }  # fmt: skip
    [item] = (await looks(case, me))["items"]
    assert item["question"] == made.json()
    [question] = [one for one in (await asked_of(case, staff(NURSE), NURSE)).json()["items"] if one["look"] == seen.id]
    assert (question["subject"], question["text"], question["asked_by"]) == (
        case.subject,
        "Hvorfor så dere?",
        "subject",
    )
    told = await reply(case, staff(NURSE, role="leader"), question["id"])
    assert (told.status_code, told.json()["state"]) == (200, "answered")
    items = (await looks(case, me))["items"]
    answered = next(item for item in items if item["id"] == seen.id)["question"]
    assert (answered["state"], answered["answer"]) == ("answered", "Vi forberedte møtet.")
    assert answered["answered_at"] is not None
    still = (await asked_of(case, staff(NURSE), NURSE)).json()["items"]
    assert seen.id not in [one["look"] for one in still]
    done = (await asked_of(case, staff(NURSE), NURSE, "?state=answered")).json()["items"]
    assert seen.id in [one["look"] for one in done]


async def test_who_reads_a_question_is_in_the_list_of_whoever_it_is_about(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    await ask(case, person(case.subject), seen.id)
    await asked_of(case, staff(NURSE), NURSE)
    first, *_ = (await looks(case, person(case.subject)))["items"]
    assert first["route"] == "consent.list-questions"
    assert "En som jobber i Tjenesten school-health leste et spørsmål om hvem som har sett i loggen." in first["text"]


async def test_every_answer_has_the_published_form(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],), at=NOON)
    await append(case, seen)
    made = await ask(case, person(case.subject), seen.id)
    listed = await asked_of(case, staff(NURSE), NURSE)
    officer = Actor("staff", "officer", (), "privacy-officer", None, "high")
    day = "from=2026-03-02&to=2026-03-02"
    forms: list[tuple[type[BaseModel], Any]] = [
        (look_bodies.QuestionView, made.json()),
        (look_bodies.QuestionList, listed.json()),
        (look_bodies.AnsweredView, (await reply(case, staff(NURSE), made.json()["id"])).json()),
        (look_bodies.LookList, await looks(case, person(case.subject))),
        (look_bodies.LookFile, (await export(case, person(case.guardians[0]), "format=json", "health")).json()),
        (look_bodies.AuditList, (await case.desk.ask("GET", f"/audit/looks?{day}", officer)).json()),
        (look_bodies.Statistics, (await case.desk.ask("GET", f"/audit/statistics?{day}", officer)).json()),
    ]
    await signed(case)
    whole = await export(case, person(case.subject), "format=json")
    forms.append((look_bodies.ProvedList, json.loads(whole.json()["paper"]["content"])))
    for form, body in forms:
        assert form.model_validate(body).model_dump(mode="json", by_alias=True) == body, form


async def test_questions_are_announced_without_their_content(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    made = (await ask(case, person(case.subject), seen.id)).json()
    await reply(case, staff(NURSE), made["id"])
    rows = await case.desk.rows(
        "SELECT type, payload FROM outbox WHERE aggregateid = :s AND type LIKE '%question%' ORDER BY seq",
        s=case.subject,
    )
    assert [row[0] for row in rows] == ["consent.question-asked.v1", "consent.question-answered.v1"]
    for _, payload in rows:
        assert made["id"].encode() in payload
        assert b"Hvorfor" not in payload
        assert "møtet".encode() not in payload


async def test_both_texts_are_sealed_with_the_subjects_key(make_case: MakeCase, keys: SubjectKeys) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    made = (await ask(case, person(case.subject), seen.id)).json()
    await reply(case, staff(NURSE), made["id"])
    [(asked_, said)] = await case.desk.rows("SELECT text, answer FROM question WHERE id = :id", id=made["id"])
    assert b"Hvorfor" not in asked_
    assert b"forberedte" not in said
    assert await keys.open(case.subject, asked_, "question.text") == "Hvorfor så dere?"


async def test_one_asks_only_about_looks_that_one_is_shown(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    secret = look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],))
    own = look(case.subject, person(case.subject), "school")
    await append(case, secret, own)
    mother = person(case.guardians[0])
    for id_ in (secret.id, own.id, "no-such-look"):
        assert problem(await ask(case, mother, id_, "school", "health")) == (404, "not-found")
    assert problem(await ask(case, staff(NURSE), secret.id)) == (404, "not-found")
    assert problem(await ask(case, person(case.subject), own.id)) == (422, "nobody-to-ask")


async def test_one_of_several_services_is_named(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    both = Actor("staff", "s-1", (NURSE, WELFARE), "professional", None, "high")
    seen = look(case.subject, both, "health", "participants", grants=(of[NURSE], of[WELFARE]))
    await append(case, seen)
    me, mother = person(case.subject), person(case.guardians[0])
    assert problem(await ask(case, me, seen.id)) == (422, "service-unclear")
    assert problem(await ask(case, me, seen.id, service=POLICE)) == (422, "service-unclear")
    assert (await ask(case, me, seen.id, service=WELFARE)).json()["service"] == WELFARE
    assert problem(await ask(case, mother, seen.id, "health", service=WELFARE)) == (422, "service-unclear")
    assert (await ask(case, mother, seen.id, "health")).json()["service"] == NURSE


async def test_a_question_is_for_the_one_who_asked_and_the_service_that_was_asked(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    made = (await ask(case, person(case.subject), seen.id)).json()
    [theirs] = (await looks(case, person(case.guardians[0]), "health"))["items"]
    assert theirs["question"] is None
    for actor in (staff(SCHOOL), staff(NURSE, role="admin"), person(case.subject)):
        assert problem(await asked_of(case, actor, NURSE)) == (404, "not-found")
        assert problem(await reply(case, actor, made["id"])) == (404, "not-found")


async def test_a_colleague_whom_the_consent_leaves_out_finds_no_question(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    made = (await ask(case, person(case.subject), seen.id)).json()
    aunt = staff(NURSE, name="aunt")
    async with case.desk.engine.begin() as conn:
        await conn.execute(text("UPDATE grants SET excluded = '{aunt}' WHERE id = :id"), {"id": of[NURSE]})
    assert seen.id not in [one["look"] for one in (await asked_of(case, aunt, NURSE)).json()["items"]]
    assert problem(await reply(case, aunt, made["id"])) == (404, "not-found")
    assert (await reply(case, staff(NURSE), made["id"])).status_code == 200


async def test_a_question_and_its_answer_happen_once(make_case: MakeCase) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    me = person(case.subject)
    first, again = [await ask(case, me, seen.id, key="k1") for _ in range(2)]
    assert (again.status_code, again.json()) == (201, first.json())
    assert problem(await ask(case, me, seen.id)) == (409, "already-asked")
    assert problem(await ask(case, me, seen.id, key="k1", text="Noe annet")) == (422, "idempotency-key-reused")
    await reply(case, staff(NURSE), first.json()["id"])
    assert problem(await reply(case, staff(NURSE), first.json()["id"], "Noe annet")) == (409, "already-answered")
    for body in ({"text": ""}, {"text": "a" * 2001}, {"text": "a", "more": 1}):
        assert problem(await ask(case, me, seen.id, **body)) == (422, "invalid")


async def test_a_person_whose_key_was_destroyed_is_asked_about_no_more(make_case: MakeCase, keys: SubjectKeys) -> None:
    case, of = await two_services(make_case)
    seen = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    await append(case, seen)
    made = (await ask(case, person(case.subject), seen.id)).json()
    before = (await asked_of(case, staff(NURSE), NURSE)).json()["items"]
    assert made["id"] in [one["id"] for one in before]
    await keys.destroy(case.subject)
    async with case.desk.engine.begin() as conn:  # a replica that does not hold the key any more
        page = await questions.questions(
            conn, keys, NAMES, staff(NURSE), NURSE, answered=False, before=None, limit=50, now=NOON
        )
    assert made["id"] not in [one["id"] for one in page.items]
