"""Who looked, through the real door in front of the real consent: what each reader gets, byte by byte."""

import base64
import csv
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc.jwk import OctKey

from chassis import permit as signing
from chassis.clock import rfc3339
from chassis.events import new_event
from chassis.permit import Actor
from chassis.routes import route_table
from consent.app import create_app
from consent.handlers import checkpoints, made
from consent.handlers.ledger import Record
from consent.messages import LogChanged
from consent.model.ledger import canonical, leaf_hash
from consent.model.notes import Signer
from consent.settings import Settings
from gateway.handlers.forward import Given, Inner
from gateway.model.handles import agency_audience, person_audience, staff_audience
from gateway.model.routing import Table, routes_of
from tests.consent.callers import (
    AGENCY,
    CATEGORIES,
    INNER,
    NAMES,
    NURSE,
    POLICE,
    SCHOOL,
    WELFARE,
    Case,
    asked,
    person,
    staff,
)
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, grants, look
from tests.gateway.door_parts import TOKENS, Known, Rig, Told, World, rig

pytestmark = pytest.mark.asyncio(loop_scope="session")
OFFICER = Actor("staff", "officer-1", (), "privacy-officer", None, "high")


@dataclass
class Front:
    """A door before consent. What it records reaches the ledger when the test says so."""

    door: Rig
    case: Case

    def handle(self, who: str) -> str:
        return self.door.handle(who, self.case.subject)

    async def ask(self, who: str, method: str, path: str, **more: Any) -> Told:
        """`{s}` in the path is this caller's handle of the subject."""
        told = await self.door.ask(who, method, path.replace("{s}", self.handle(who)), **more)
        await self.recorded()
        people = [self.case.subject, *self.case.guardians]
        assert not [one for one in people if one.encode() in told.body], "an inner id left"
        return told

    async def recorded(self) -> None:
        sent, self.door.records.sent[:] = list(self.door.records.sent), []
        await append(
            self.case,
            *(
                Record(
                    one.id, "look", one.key(), one.subject, one.data(), one.actor.kind, one.actor.id, one.categories,
                    one.grants,
                )
                for one in sent
            ),
        )  # fmt: skip


Opened = Callable[[Case], AbstractAsyncContextManager[Front]]


@pytest.fixture
def front(client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Opened:
    table = Table(routes_of("consent", route_table(create_app(settings, bus=False), "consent")))

    async def reply(inner: Inner) -> Given:
        token = signing.sign(
            OctKey.import_key(INNER), audience="consent", method=inner.method, path=inner.target, body=inner.body,
            actor=inner.actor, subject=inner.subject, route=inner.route, permit=inner.permit, record=inner.record,
            now=time.time(),
        )  # fmt: skip
        headers = {**inner.headers, signing.HEADER: token}
        answer = await client.request(inner.method, inner.target, content=inner.body or None, headers=headers)
        return Given(answer.status_code, answer.headers, answer.content)

    @asynccontextmanager
    async def opened(case: Case) -> AsyncIterator[Front]:
        world = World()
        _directory(world)
        state = await case.desk.state(case.subject)
        value = json.dumps(state).encode()
        assert world.facts.apply_subject(case.subject, state["version"], "consent.state.v1", value)
        callers = {"subject": person(case.subject), "mother": person(case.guardians[0])}
        for name, actor in callers.items():
            monkeypatch.setitem(TOKENS, name, Known(actor, person_audience(str(actor.id))))
        monkeypatch.setitem(TOKENS, "nurse", Known(staff(NURSE), agency_audience(AGENCY)))
        monkeypatch.setitem(TOKENS, "officer", Known(OFFICER, staff_audience(str(OFFICER.id))))
        async with rig(world) as door:
            door.app.table, door.services.reply = table, reply
            yield Front(door, case)

    return opened


def _directory(world: World) -> None:
    for category in CATEGORIES:
        if f"category:{category}" not in world.facts.directory:
            world._entity("category", category)
    world._entity("agency", AGENCY)
    for service in (NURSE, SCHOOL, POLICE, WELFARE):
        world._entity("service", service, agency=AGENCY)
    world._entity("staff", f"staff-{NURSE}", services=[NURSE], role="professional")
    world._entity("staff", "officer-1", services=[], role="privacy-officer")


async def family(make_case: MakeCase) -> tuple[Case, str, str]:
    """With a look of the nurse that the mother may know of, and one of child welfare that she may not."""
    cells = [asked(NURSE, "school", "health"), asked(WELFARE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()
    of = await grants(case)
    known = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],))
    secret = look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],))
    await append(case, known, secret)
    return case, known.id, secret.id


def rows(told: Told) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(told.body.decode("utf-8-sig"), newline="")))


@pytest.mark.requirement("F176")
async def test_each_reader_gets_the_own_list_with_the_own_handles(make_case: MakeCase, front: Opened) -> None:
    case, known, secret = await family(make_case)
    async with front(case) as asks:
        await asks.ask("mother", "GET", "/subjects/{s}/looks")
        whole = (await asks.ask("subject", "GET", "/subjects/{s}/looks")).json["items"]
        assert [item["id"] for item in whole][1:] == [secret, known]
        assert whole[0]["actor"]["id"] == asks.door.handles.to_handle(person_audience(case.subject), case.guardians[0])
        assert "En forelder eller foresatt så på hvem som har sett i loggen." in whole[0]["text"]
        theirs = (await asks.ask("mother", "GET", "/subjects/{s}/looks")).json["items"]
        assert [item["id"] for item in theirs if item["actor"]["kind"] == "staff"] == [known]
        assert all(
            item["text"].split(": ")[1].startswith("Du ") for item in theirs if item["actor"]["kind"] == "person"
        )
        mine = (await asks.ask("subject", "GET", "/me/looks")).json["items"]
        assert [one["subject"] for one in mine] == [asks.handle("subject")]
        assert {known, secret} <= {item["id"] for item in mine[0]["answer"]["items"]}


async def wrote(case: Case, *writes: Record) -> dict[str, str]:
    """An entry in the first category of each write, as the logbook tells of it; its id by look."""
    items = {}
    for number, write in enumerate(writes):
        items[write.id] = str(uuid4())
        told = LogChanged(
            subject=case.subject, item=items[write.id], category=write.categories[0], at=rfc3339(datetime.now(UTC)),
            record=write.id,
        )  # fmt: skip
        event = new_event("logbook", "entry.added.v1", case.subject, {}, datetime.now(UTC), version=number)
        async with case.desk.engine.begin() as conn:
            await made.take(conn, event, told)
    return items


@pytest.mark.requirement("F204")
@pytest.mark.requirement("F176")
async def test_one_call_gives_what_was_done_and_what_it_made_and_each_reader_the_own_part(
    make_case: MakeCase, front: Opened
) -> None:
    case, read, _ = await family(make_case)
    of = await grants(case)
    known = look(case.subject, staff(NURSE), "health", grants=(of[NURSE],), action="contribute")
    half = look(case.subject, staff(NURSE), "participants", "health", grants=(of[NURSE],), action="contribute")
    secret = look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],), action="contribute")
    await append(case, known, half, secret)
    items = await wrote(case, known, half, secret)
    async with front(case) as asks:

        def shown(told: Told) -> dict[str, list[str]]:
            return {item["id"]: [one["item"] for one in item["made"]] for item in told.json["items"]}

        query = "/subjects/{s}/looks?action=contribute"
        whole = await asks.ask("subject", "GET", query)
        assert shown(whole) == {id_: [item] for id_, item in items.items()}
        assert shown(await asks.ask("subject", "GET", "/subjects/{s}/looks"))[read] == []
        theirs = await asks.ask("mother", "GET", query)
        assert shown(theirs) == {known.id: [items[known.id]], half.id: []}
        mine = (await asks.ask("subject", "GET", "/me/looks?action=contribute")).json["items"]
        assert {item["id"] for item in mine[0]["answer"]["items"]} == set(items)
        assert all(item["made"] for item in mine[0]["answer"]["items"])
        file = await asks.ask("mother", "GET", "/subjects/{s}/looks/export?format=csv&action=contribute")
        assert {(row["made"], row["items"]) for row in rows(file)} == {("entry-added", items[known.id]), ("", "")}
        printed = await asks.ask("mother", "GET", "/subjects/{s}/looks/export?format=print")
        for told in (theirs, file, printed):
            assert items[half.id].encode() not in told.body
            assert items[secret.id].encode() not in told.body


async def test_a_files_rows_are_those_of_the_readers_list(make_case: MakeCase, front: Opened) -> None:
    case, known, secret = await family(make_case)
    async with front(case) as asks:
        whole = await asks.ask("subject", "GET", "/subjects/{s}/looks/export?format=csv")
        assert whole.headers["content-type"] == "text/csv; charset=utf-8"
        assert [row["id"] for row in rows(whole)] == [secret, known]
        theirs = await asks.ask("mother", "GET", "/subjects/{s}/looks/export?format=csv")
        assert [row["id"] for row in rows(theirs)] == [known]
        printed = await asks.ask("mother", "GET", "/subjects/{s}/looks/export?format=print")
        assert printed.headers["content-disposition"].startswith("attachment; ")
        for told in (theirs, printed):
            assert WELFARE.encode() not in told.body
            assert secret.encode() not in told.body
        assert known.encode() in printed.body


@pytest.mark.requirement("F176")
async def test_the_proved_list_goes_through_the_door_unchanged(make_case: MakeCase, front: Opened) -> None:
    case, known, _ = await family(make_case)
    async with front(case) as asks:
        async with case.desk.engine.begin() as conn:
            await checkpoints.sign(conn, Signer("samlogg.test/ledger", b"l" * 32), datetime.now(UTC))
        told = await asks.ask("subject", "GET", "/subjects/{s}/looks/export")
        assert told.headers["content-type"] == "application/json"
        stored = await case.desk.rows(
            "SELECT sequence, leaf FROM ledger WHERE chain = :c ORDER BY sequence", c=NAMES.of(case.subject)
        )
        leaves = [leaf_hash(base64.b64decode(item["salt"]), canonical(item["entry"])) for item in told.json["items"]]
        assert leaves == [row.leaf for row in stored][: len(leaves)]
        assert len(leaves) >= 2
        theirs = await asks.ask("mother", "GET", "/subjects/{s}/looks/export")
        assert (theirs.json["proofs"], [item["id"] for item in theirs.json["items"]]) == (False, [known])


@pytest.mark.requirement("F176")
async def test_a_question_and_its_answer_go_through_the_door(make_case: MakeCase, front: Opened) -> None:
    case, known, secret = await family(make_case)
    async with front(case) as asks:
        path = f"/subjects/{{s}}/looks/{known}/question"
        made = await asks.ask("subject", "POST", path, body={"text": "Hvorfor?"}, headers={"idempotency-key": "a"})
        assert made.status == 201
        hidden = await asks.ask("mother", "POST", f"/subjects/{{s}}/looks/{secret}/question", body={"text": "Hva?"})
        assert (hidden.status, hidden.slug) == (404, "not-found")
        listed = (await asks.ask("nurse", "GET", f"/services/{NURSE}/questions?limit=50")).json["items"]
        [question] = [one for one in listed if one["look"] == known]
        assert question["subject"] == asks.handle("nurse")
        path = f"/subjects/{question['subject']}/questions/{question['id']}/answer"
        assert (await asks.ask("nurse", "POST", path, body={"text": "Vi hadde møte."})).status == 200
        items = (await asks.ask("subject", "GET", "/subjects/{s}/looks")).json["items"]
        asked_about = next(item for item in items if item["id"] == known)
        assert asked_about["question"]["answer"] == "Vi hadde møte."
        acts = [item["route"] for item in items]
        assert {"consent.ask-about-look", "consent.list-questions", "consent.answer-question"} <= set(acts)
        foreign = await asks.ask("officer", "POST", path, body={"text": "x"})
        assert (foreign.status, foreign.slug) == (404, "not-found")


@pytest.mark.requirement("F080")
async def test_a_privacy_officer_gets_handles_and_is_seen_by_those_it_is_about(
    make_case: MakeCase, front: Opened
) -> None:
    case, known, secret = await family(make_case)
    today = datetime.now(UTC).date().isoformat()
    async with front(case) as asks:
        subject = asks.handle("officer")
        query = f"from={today}&service={WELFARE}&limit=200"
        found = (await asks.ask("officer", "GET", f"/audit/looks?{query}")).json["items"]
        assert (secret, subject) in {(item["id"], item["subject"]) for item in found}
        file = await asks.ask("officer", "GET", f"/subjects/{{s}}/audit?from={today}&format=csv")
        assert {row["subject"] for row in rows(file)} == {subject}
        assert {known, secret} <= {row["id"] for row in rows(file)}
        items = (await asks.ask("subject", "GET", "/subjects/{s}/looks")).json["items"]
        by_officer = [item["route"] for item in items if item["actor"]["role"] == "privacy-officer"]
        assert sorted(by_officer) == ["consent.audit-looks", "consent.audit-subject"]
        theirs = (await asks.ask("mother", "GET", "/subjects/{s}/looks")).json["items"]
        assert not [item for item in theirs if item["actor"]["role"] == "privacy-officer"]
        for who in ("subject", "nurse"):
            for path, told in (("/audit/looks", 403), ("/audit/statistics", 403), ("/subjects/{s}/audit", 404)):
                assert (await asks.ask(who, "GET", f"{path}?from={today}&to={today}")).status == told
        counts = await asks.ask("officer", "GET", f"/audit/statistics?from={today}&to={today}")
        assert counts.status == 200
        assert asks.door.records.held == []


async def test_what_an_officer_may_not_change_there_is_no_route_for(settings: Settings) -> None:
    routes = route_table(create_app(settings, bus=False), "consent")
    theirs = [route for route in routes if "privacy-officer" in route["basis"]]
    assert {(route["method"], route["action"]) for route in theirs} == {("GET", "read")}
    assert len(theirs) == 6
