"""The whole service on a real Kafka and PostgreSQL: its leader publishes, confirms, and its relay tells."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from chassis import events
from chassis.clock import rfc3339
from chassis.kafka import partitions_of
from chassis.storage import make_engine
from consent import messages, subscribers
from consent.app import create_app
from consent.handlers import changes, directory, leader, publishing
from consent.subscribers import DirectoryFeed, LedgerFeed
from tests.bus import Bus, open_bus
from tests.consent.callers import NURSE, POLICE, Case, Desk, a_request, entries, person, settings_for, staff
from tests.consent.looking import look, looks
from tests.stack import Kafka, Postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")
_DOORS = 2
EVENTS = messages.PUBLISHED["consent.events.v1"]


class Service(Desk):
    """A whole running consent, with topics of its own."""

    bus: Bus
    topics: dict[str, str]


@pytest_asyncio.fixture(loop_scope="session")
async def service(kafka: Kafka, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    content, keys = postgres.fresh_database("consent_run"), postgres.fresh_database("consent_run_keys")
    async with open_bus(kafka, content) as bus:
        topics = {name: bus.topic(f"consent-{name}", 2) for name in ("state", "events", "access", "logs")}
        topics |= {name: bus.topic(f"consent-{name}", 1) for name in ("directory", "checkpoints")}
        for module in (leader, publishing):
            monkeypatch.setattr(module, "SUBJECTS", topics["state"])
        monkeypatch.setattr(leader, "EVENTS", topics["events"])
        monkeypatch.setattr(leader, "DIRECTORY", topics["directory"])
        monkeypatch.setattr(messages, "EVENTS", topics["events"])
        monkeypatch.setattr(messages, "CHECKPOINTS", topics["checkpoints"])
        monkeypatch.setattr(messages, "LOGBOOK", topics["logs"])
        monkeypatch.setattr(subscribers, "MADE", topics["logs"])
        access, state = topics["access"], topics["directory"]
        monkeypatch.setattr(subscribers, "LedgerFeed", partial(LedgerFeed, topic=access, group=access))
        monkeypatch.setattr(subscribers, "DirectoryFeed", partial(DirectoryFeed, topic=state))
        app = create_app(settings_for(content, keys, confirmation_seconds=20.0, pool_size=_DOORS, **kafka.settings))
        engine = make_engine(content, pool_size=4)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://consent", timeout=30) as client,
        ):
            async with engine.begin() as conn:
                await directory.keep(conn, entries())
            found = Service(client, engine)
            found.bus, found.topics = bus, topics
            yield found
        await engine.dispose()


async def ready(service: Service) -> None:
    for _ in range(300):
        answer = await service.client.get("/ready")
        if answer.status_code == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


async def test_from_request_to_confirmed_withdrawal_with_the_leader_and_the_relay(service: Service) -> None:
    await ready(service)
    case = await Case(service, a_request(15)).made()
    assert (await case.seen_by(staff(NURSE)))["status"] == "confirmed"
    answers = [await case.answer(who) for who in (*case.guardians, case.subject)]
    assert [one.json()["state"] for one in answers] == ["answered", "answered", "in-force"]
    assert answers[-1].status_code == 200
    withdrawn = await case.withdraw(case.subject, POLICE)
    assert (withdrawn.status_code, withdrawn.json()["status"]) == (200, "confirmed")
    assert (await case.seen_by(person(case.subject)))["state"] == "in-force"

    def ours(record: Any) -> bool:
        return bool(record.key == case.subject.encode())

    told = await service.bus.records(service.topics["events"], 4, wanted=ours)
    types = [dict(one.headers)["ce_type"].decode() for one in told]
    assert types == ["consent.requested.v1", "consent.granted.v1", "consent.granted.v1", "consent.withdrawn.v1"]
    for record, kind in zip(told, types, strict=True):
        EVENTS[kind].model_validate_json(record.value or b"")
    states = await service.bus.records(service.topics["state"], 3, wanted=ours)
    versions = [json.loads(one.value or b"")["version"] for one in states]
    assert versions == sorted(set(versions))
    last = messages.ConsentState.model_validate_json(states[-1].value or b"")
    assert f"service:{POLICE}" not in {grant.recipient for grant in last.grants}
    assert f"service:{NURSE}" in {grant.recipient for grant in last.grants}


async def test_requests_that_hold_every_connection_of_the_doors_keep_the_leader_neither_from_leading_nor_confirming(
    service: Service,
) -> None:
    await ready(service)
    waiting, other = [await Case(service, a_request(15)).made() for _ in range(2)]
    epoch = await service.rows("SELECT epoch FROM leader")
    async with service.engine.begin() as conn:
        await changes.lock(conn, waiting.subject)
        held = [asyncio.create_task(waiting.withdraw(waiting.subject, POLICE)) for _ in range(_DOORS)]
        await asyncio.sleep(0.5)
        change = changes.new_id()
        async with service.engine.begin() as another:
            await changes.lock(another, other.subject)
            await changes.record(another, change, other.subject, "law-fact", {}, datetime.now(UTC))
        for _ in range(60):
            if await service.rows("SELECT 1 FROM change WHERE id = CAST(:c AS uuid) AND state = 'confirmed'", c=change):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the leader waits for a connection of the doors")
        assert not any(one.done() for one in held), "nothing was held: the test shows nothing"
        await asyncio.sleep(6.0)  # longer than anybody waits for a connection
        assert await service.rows("SELECT epoch FROM leader") == epoch
    await asyncio.gather(*held)


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica reads the state topics; to be had before the service."""

    async def read(self: leader.Leader) -> None:
        self._partitions = await partitions_of(self._settings, publishing.SUBJECTS, leader.DIRECTORY)
        await asyncio.Event().wait()

    monkeypatch.setattr(leader.Leader, "read", read)
    monkeypatch.setattr(leader, "DEADLINE", 1.0)


@pytest.mark.usefixtures("deaf")
async def test_a_leader_that_does_not_read_its_own_barriers_back_leaves_the_lead_to_another(service: Service) -> None:
    for _ in range(400):
        if (await service.rows("SELECT epoch FROM leader"))[0][0] >= 3:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it keeps the lead, and nobody can lead")


async def test_without_kafka_requests_and_withdrawals_are_taken_and_stay_pending(postgres: Postgres) -> None:
    content, keys = postgres.fresh_database("consent_alone"), postgres.fresh_database("consent_alone_keys")
    app = create_app(settings_for(content, keys))
    engine = make_engine(content, pool_size=2)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://consent") as client,
    ):
        async with engine.begin() as conn:
            await directory.keep(conn, entries())
        case = await Case(Desk(client, engine), a_request(15)).made()
        assert (await case.answer(case.subject)).status_code == 202
        withdrawn = await case.withdraw(case.subject, POLICE)
        assert (withdrawn.status_code, withdrawn.json()["status"]) == (202, "pending")
        await asyncio.sleep(2.0)  # time for every part to have tried
        waiting = (await client.get("/ready")).json()["waiting"]
        assert {"leader", "ledger", "directory", "outbox"} <= waiting.keys()
        assert (await client.get("/live")).status_code == 200
    await engine.dispose()


async def tell(service: Service, topic: str, event: events.Event) -> None:
    await service.bus.producer.send_and_wait(
        service.topics[topic], events.value(event), event.key.encode(), headers=events.headers(event)
    )


@pytest.mark.requirement("F204")
async def test_what_writes_made_stands_beside_them_doubled_early_late_and_after_what_is_bad(service: Service) -> None:
    await ready(service)
    case = await Case(service, a_request(15)).made()
    me, now = person(case.subject), datetime.now(UTC)
    first, second = (look(case.subject, staff(NURSE), "school", action="contribute") for _ in range(2))

    def made(record: str, number: int) -> events.Event:
        data = {
            "subject": case.subject, "log": str(uuid4()), "item": str(uuid4()), "category": "school",
            "actor": {"kind": "staff", "id": "staff-1", "services": [NURSE]}, "at": rfc3339(now), "record": record,
        }  # fmt: skip
        return events.new_event("logbook", "entry.added.v1", case.subject, data, now, version=number)

    told = [made(first.id, 1), made(first.id, 2), made(second.id, 3)]
    bad = events.new_event("logbook", "entry.added.v1", case.subject, {"subject": case.subject}, now)
    for event in (told[1], bad, told[0], told[1], told[0]):  # two of the first write, the wrong way round, and again
        await tell(service, "logs", event)
    for record in (first, second):
        seen = events.new_event("gateway", messages.LOOKED, case.subject, record.content, now)
        await tell(service, "access", seen)
    await tell(service, "logs", told[2])
    items = {}
    for _ in range(300):
        items = {one["id"]: [each["item"] for each in one["made"]] for one in (await looks(case, me))["items"]}
        if {first.id, second.id} <= items.keys() and items[second.id]:  # one key: what came before it was handled
            break
        await asyncio.sleep(0.1)
    assert items[first.id] == [told[0].data["item"], told[1].data["item"]]
    assert items[second.id] == [told[2].data["item"]]
    [letter] = await service.bus.records(f"{service.topics['logs']}.dlq", 1)
    headers = dict(letter.headers)
    assert (headers["ce_id"], headers["dlq_consumer"]) == (bad.id.encode(), b"consent")
    await ready(service)
