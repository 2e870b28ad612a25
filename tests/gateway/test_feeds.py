"""The feeds on a real Kafka and PostgreSQL: from others' events to pointers on agencies' feeds and to notices."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import gateway.app
from chassis.clock import rfc3339
from chassis.delivery import Delivery
from chassis.events import Event, decode, headers, new_event, value
from chassis.health import Health
from chassis.lifespan import Tasks
from chassis.storage import make_engine, migrate
from gateway.handlers.feeds import Feeds, effects, feed_topic
from gateway.handlers.feeds.effects import NOTICES
from gateway.messages import CHANGES, CONSENT, CONSUMED, LOGBOOK
from gateway.model.decide import decide
from gateway.model.handles import Handles, agency_audience
from gateway.subscribers import GROUP, feed_work, make_reader
from tests.bus import Bus, open_bus, until
from tests.gateway.feeds_world import GUARDIAN, NURSE, POLICE, SCHOOL, YOUTH, World, grant
from tests.stack import Kafka, Postgres

MIGRATIONS = Path(gateway.app.__file__).parents[1] / "migrations"
CANARY = "Ylva Kanarifugl 13897512345"


@dataclass
class Desk:
    """The feeds of one gateway on the bus."""

    world: World
    bus: Bus
    engine: AsyncEngine
    handles: Handles
    health: Health
    since: dict[Any, int]
    spans: InMemorySpanExporter
    leased: bool = True
    ahead: timedelta = timedelta(0)
    subject: str = field(default_factory=lambda: str(uuid4()))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def happens(
        self, kind: str, topic: str = LOGBOOK, *, event: str | None = None, version: int | None = None,
        when: datetime | None = None, **data: Any,
    ) -> Event:  # fmt: skip
        """Put one event about the subject on the bus."""
        body = {"subject": self.subject} | data
        made = new_event("logbook", kind, self.subject, body, when or self.now(), version=version)
        made = Event(
            event or made.id, made.type, made.source, made.key, made.time, body, version,
            f"00-{uuid4().hex}-00f067aa0ba902b7-01",
        )  # fmt: skip
        await self.bus.producer.send_and_wait(topic, value(made), key=made.key.encode(), headers=headers(made))
        return made

    async def entry(self, category: str | None, by: str = "staff:somebody", **more: Any) -> Event:
        kind, _, id_ = by.partition(":")
        given: dict[str, Any] = {
            "log": str(uuid4()), "item": str(uuid4()), "category": category,
            "actor": {"kind": kind, "id": id_, "services": []}, "at": rfc3339(self.now()),
        }  # fmt: skip
        return await self.happens("entry.added.v1", **(given | more))

    async def feed(self, attachment: str, count: int, within: float = 10.0) -> list[Event]:
        """What is on an agency's feed about the subject."""
        handle = self.handle(attachment).encode()
        records = await self.bus.records(
            feed_topic(f"o{attachment}"), count, within, wanted=lambda one: one.key == handle
        )
        return [decode(one.key, one.value, one.headers) for one in records]

    def handle(self, attachment: str) -> str:
        agency = {SCHOOL: "education", POLICE: "police"}[attachment]
        return self.handles.to_handle(agency_audience(agency), self.subject)

    async def notices(self, count: int, causes: set[str], within: float = 10.0) -> list[dict[str, Any]]:
        """Data of the notices that these events caused."""
        found = await self.bus.records(
            NOTICES, count, within, since=self.since,
            wanted=lambda one: json.loads(one.value or b"{}").get("cause") in causes,
        )  # fmt: skip
        return [json.loads(one.value or b"") for one in found]

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as conn:
            return [tuple(row) for row in await conn.execute(text(statement))]


@pytest.fixture
async def desk(kafka: Kafka, postgres: Postgres) -> AsyncIterator[Desk]:
    url = postgres.fresh_database("feeds")
    world = World()
    for attachment in (SCHOOL, POLICE):
        agency = {SCHOOL: "education", POLICE: "police"}[attachment]
        world.attach(attachment, agency, {SCHOOL: ["school", "school-health"], POLICE: ["patrol"]}[attachment])
    async with open_bus(kafka, url) as bus:
        for topic in (LOGBOOK, CONSENT, NOTICES):
            await bus.real_topic(topic)
        for attachment in (SCHOOL, POLICE):
            await bus.real_topic(feed_topic(f"o{attachment}"), 3)
        since = await bus.ends(NOTICES)
        engine = make_engine(url, pool_size=4)
        await migrate(engine, MIGRATIONS)
        spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        made = Desk(world, bus, engine, Handles(b"h" * 32), Health("outbox", "consumer"), since, spans)
        feeds = Feeds(
            engine=engine, facts=world.facts, holds_lease=lambda: made.leased, handles=made.handles, decide=decide,
            now=made.now, provider=provider,
        )  # fmt: skip
        tasks = Tasks()
        for name, work in feed_work(bus.settings, made.health, feeds, made.now):
            tasks.start(name, work)
        try:
            await until(lambda: not made.health.reasons(), 40.0)
            await bus.alone(GROUP)
            yield made
        finally:
            await tasks.stop()
            await engine.dispose()


async def test_the_access_record_that_an_event_names_reaches_no_feed_and_no_notice(desk: Desk) -> None:
    desk.world.state(
        grant("service:school-health", "health"), grant(f"person:{GUARDIAN}", "health", kind="parental"),
        subject=desk.subject,
    )  # fmt: skip
    record = str(uuid4())
    event = await desk.entry("health", record=record)
    key = desk.handle(SCHOOL).encode()
    sent = await desk.bus.records(feed_topic(f"o{SCHOOL}"), 1, wanted=lambda one: one.key == key)
    sent += await desk.bus.records(
        NOTICES, 2, since=desk.since, wanted=lambda one: event.id.encode() in (one.value or b"")
    )
    assert [one.topic for one in sent] == [feed_topic(f"o{SCHOOL}"), NOTICES, NOTICES]
    for one in sent:
        whole = b"\0".join([one.key or b"", one.value or b"", *(value for _, value in one.headers)])
        assert record.encode() not in whole
        assert record.replace("-", "").encode() not in whole
    for table in ("outbox", "notice_issued", "inbox"):
        assert record not in str(await desk.rows(f"SELECT * FROM {table}"))


async def test_an_entry_is_pointed_to_for_who_may_see_it_and_says_nothing_more(desk: Desk) -> None:
    desk.world.state(
        grant("service:school-health", "health"), grant("service:patrol", "school"),
        grant(f"person:{GUARDIAN}", "health", kind="parental"), subject=desk.subject,
    )  # fmt: skip
    event = await desk.entry("health", by=f"staff:{NURSE}", text=CANARY, name=CANARY)
    (pointer,) = await desk.feed(SCHOOL, 1)
    handle = desk.handle(SCHOOL)
    assert pointer.data == {"handle": handle, "what": "changed", "href": f"/subjects/{handle}/items"}
    assert (pointer.type, pointer.source, pointer.key) == ("samlogg.pointer.v1", "/samlogg/gateway", handle)
    (notice,) = await desk.notices(1, {event.id})
    assert notice["recipient"] == f"person:{GUARDIAN}"
    assert set(notice) == {"notice", "recipient", "cause"}
    assert await desk.feed(POLICE, 1, within=1.0) == []


async def test_two_agencies_cannot_join_their_feeds(desk: Desk) -> None:
    desk.world.state(grant("service:school", "school"), grant("service:patrol", "school"), subject=desk.subject)
    event = await desk.entry("school", when=datetime(2026, 3, 1, 10, 7, 33, 123_000, UTC))
    (one,), (other,) = await desk.feed(SCHOOL, 1), await desk.feed(POLICE, 1)
    ids = [event.id, one.id, other.id, desk.subject, one.key, other.key]
    assert len(set(ids)) == 6
    assert one.time == other.time == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    assert desk.handles.subject_of(agency_audience("police"), other.id, "event") == event.id, (
        "we can tell doubles apart"
    )
    traces = [str(made.traceparent).split("-")[1] for made in (event, one, other)]
    assert len(set(traces)) == 3
    links = {
        f"{span.context.trace_id:032x}": f"{span.links[0].context.trace_id:032x}"
        for span in desk.spans.get_finished_spans() if span.name == "point" and span.links
    }  # fmt: skip
    assert links == {traces[1]: traces[0], traces[2]: traces[0]}, "the link back to our trace stays on our side"
    for attachment in (SCHOOL, POLICE):
        (record,) = await desk.bus.records(
            feed_topic(f"o{attachment}"), 1, wanted=lambda found: found.key in (one.key.encode(), other.key.encode())
        )
        names = {name for name, _ in record.headers}
        assert "ce_aggregateversion" not in names
        assert desk.subject.encode() not in b"".join(
            [record.key or b"", record.value or b"", *dict(record.headers).values()]
        )


async def test_a_doubled_event_has_one_effect(desk: Desk) -> None:
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    event = str(uuid4())
    for _ in range(3):
        await desk.entry("school", event=event)
    last = await desk.entry("school")
    await desk.notices(2, {event, last.id})
    assert len(await desk.feed(POLICE, 3, within=2.0)) == 2
    assert len(await desk.notices(3, {event, last.id}, within=1.0)) == 2


async def test_nothing_is_decided_without_a_lease_and_all_of_it_comes_when_there_is_one(desk: Desk) -> None:
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    desk.leased = False
    await desk.entry("school")
    await until(lambda: "delivery" in desk.health.reasons())
    assert "PartFailure" in desk.health.reasons()["delivery"]
    assert await desk.rows("SELECT count(*) FROM inbox") == [(0,)]
    desk.world.state(subject=desk.subject)  # withdrawn meanwhile: decided on the facts of then
    desk.leased = True
    await until(lambda: not desk.health.reasons())
    assert await desk.rows("SELECT count(*) FROM inbox") == [(1,)]
    assert await desk.feed(POLICE, 1, within=1.0) == []


async def test_after_a_long_wait_for_a_lease_the_feeds_go_on_within_two_seconds_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "_PATIENCE_SECONDS", 0.05)
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    desk.leased = False
    await desk.entry("school")
    await until(lambda: ", 8 tries" in desk.health.reasons().get("delivery", ""), 40.0)  # the next would wait for long
    desk.leased = True
    assert len(await desk.feed(POLICE, 1, within=2.0)) == 1


async def test_after_a_withdrawal_nothing_is_pointed_to_but_the_end(desk: Desk) -> None:
    given = grant("service:patrol", "school")
    began = desk.world.state(given, subject=desk.subject)
    more: dict[str, Any] = {"grant": given["id"], "recipient": "service:patrol", "categories": ["school"]}
    await desk.happens("consent.granted.v1", CONSENT, version=began, **more, actions=["read"], until=None)
    await desk.feed(POLICE, 1)
    await desk.entry("school")
    await desk.feed(POLICE, 2)
    ended = desk.world.state(subject=desk.subject)
    await desk.happens("consent.withdrawn.v1", CONSENT, version=ended, **more, change=str(uuid4()))
    await desk.feed(POLICE, 3)
    for _ in range(3):
        await desk.entry("school")
    found = [pointer.data["what"] for pointer in await desk.feed(POLICE, 4, within=2.0)]
    assert found == ["grant-began", "changed", "grant-ended"]


async def test_notices_that_may_still_wait_are_revoked_when_their_grant_ends(desk: Desk) -> None:
    health = grant("service:school-health", "health")
    desk.world.state(health, grant(f"person:{GUARDIAN}", "health", kind="parental"), subject=desk.subject)
    event = await desk.entry("health")
    issued = {one["recipient"]: one["notice"] for one in await desk.notices(2, {event.id})}
    assert set(issued) == {f"staff:{NURSE}", f"person:{GUARDIAN}"}
    version = desk.world.state(grant(f"person:{GUARDIAN}", "health", kind="parental"), subject=desk.subject)
    await desk.happens(
        "consent.withdrawn.v1", CONSENT, version=version, grant=health["id"], recipient="service:school-health",
        categories=["health"], change=str(uuid4()),
    )  # fmt: skip
    (revoked,) = await desk.bus.records(
        NOTICES, 1, since=desk.since, wanted=lambda one: dict(one.headers)["ce_type"] == b"notice.revoked.v1"
    )
    assert json.loads(revoked.value or b"") == {"notice": issued[f"staff:{NURSE}"], "recipient": f"staff:{NURSE}"}
    assert revoked.key == NURSE.encode()
    assert await desk.rows("SELECT recipient FROM notice_issued") == [(f"person:{GUARDIAN}",)]


async def test_a_question_is_told_to_those_who_are_asked_once_their_state_is_here(desk: Desk) -> None:
    request = str(uuid4())
    event = await desk.happens(
        "consent.requested.v1", CONSENT, version=1, request=request, asker="service:school-health",
        asked=[YOUTH, GUARDIAN],
    )  # fmt: skip
    await asyncio.sleep(0.5)
    assert await desk.rows("SELECT count(*) FROM inbox") == [(0,)]
    asks = [{"id": request, "asker": "service:school-health", "asked": [YOUTH, GUARDIAN], "open": True}]
    desk.world.state(subject=desk.subject, requests=asks)
    found = await desk.notices(2, {event.id})
    assert {one["recipient"] for one in found} == {f"person:{YOUTH}", f"person:{GUARDIAN}"}


async def test_an_event_that_claims_a_version_nobody_has_does_not_hold_up_the_others(desk: Desk) -> None:
    given = grant("service:patrol", "school")
    desk.world.state(given, subject=desk.subject)
    long_ago = desk.now() - timedelta(minutes=5)
    await desk.happens(
        "consent.granted.v1", CONSENT, version=99, when=long_ago, grant=given["id"], recipient="service:patrol",
        categories=["school"], actions=["read"], until=None,
    )  # fmt: skip
    assert [one.data["what"] for one in await desk.feed(POLICE, 1)] == ["grant-began"]


async def test_a_no_is_told_to_the_staff_who_asked(desk: Desk) -> None:
    request = str(uuid4())
    asks = [{"id": request, "asker": "service:school-health", "asked": [YOUTH], "open": True}]
    desk.world.state(subject=desk.subject, requests=asks)
    event = await desk.happens("consent.denied.v1", CONSENT, request=request, by=YOUTH)
    (found,) = await desk.notices(1, {event.id})
    assert found["recipient"] == f"staff:{NURSE}"


async def test_what_ends_soon_is_told_once_to_those_who_are_asked_and_to_the_staff_who_asked(desk: Desk) -> None:
    asks = [{"id": str(uuid4()), "asker": "service:school-health", "asked": [YOUTH], "open": True}]
    desk.world.state(subject=desk.subject, requests=asks)
    event = await desk.happens(
        "consent.ending-soon.v1", CONSENT, event=(id_ := str(uuid4())), request=asks[0]["id"], days=30,
        asker="service:school-health", people=[YOUTH, GUARDIAN], grants=[str(uuid4())], reason="period",
    )  # fmt: skip
    found = await desk.notices(2, {event.id})
    assert {one["recipient"] for one in found} == {f"person:{YOUTH}", f"staff:{NURSE}"}
    assert await desk.rows("SELECT DISTINCT basis FROM notice_issued") == [("either",)]
    again: dict[str, Any] = {"asker": "service:school-health", "people": [YOUTH, GUARDIAN]}
    await desk.happens("consent.ending-soon.v1", CONSENT, event=id_, **again)
    last = await desk.happens("consent.ending-soon.v1", CONSENT, **again)
    await desk.notices(2, {last.id})
    assert await desk.rows("SELECT count(*) FROM notice_issued") == [(4,)], "two of each event, whatever is repeated"


async def test_a_question_about_a_look_is_told_to_the_service_and_its_answer_to_whoever_asked(desk: Desk) -> None:
    desk.world.state(grant(f"person:{YOUTH}", "looks", kind="self"), subject=desk.subject)
    id_, service = str(uuid4()), "service:school-health"
    asked = await desk.happens("consent.question-asked.v1", CONSENT, question=id_, look=str(uuid4()), service=service)
    (found,) = await desk.notices(1, {asked.id})
    assert found["recipient"] == f"staff:{NURSE}"
    answer = await desk.happens("consent.question-answered.v1", CONSENT, question=id_, service=service, asked_by=YOUTH)
    (found,) = await desk.notices(1, {answer.id})
    assert found["recipient"] == f"person:{YOUTH}"


async def test_what_was_registered_and_an_exception_are_told_to_the_person_and_to_the_leaders(desk: Desk) -> None:
    desk.world.state(grant(f"person:{desk.subject}", "looks", kind="self"), subject=desk.subject)
    desk.world.entity("staff", "head", services=["school-health"], role="leader", identity=None, active=True)
    noted = await desk.happens("consent.registered.v1", CONSENT, person=desk.subject)
    (found,) = await desk.notices(1, {noted.id})
    assert found["recipient"] == f"person:{desk.subject}"
    made = await desk.happens("consent.exception-made.v1", CONSENT, service="service:school-health")
    (found,) = await desk.notices(1, {made.id})
    assert found["recipient"] == "staff:head"


async def test_a_feed_that_is_just_being_made_is_waited_for(desk: Desk) -> None:
    opaque = f"n{uuid4().hex[:8]}"
    desk.world.attach(POLICE, "police", ["patrol"], opaque=opaque)
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    await desk.entry("school")
    await until(lambda: "delivery" in desk.health.reasons())
    assert await desk.rows("SELECT count(*) FROM outbox") == [(0,)]
    desk.bus.kafka.make_topic(feed_topic(opaque), 3)
    desk.bus.made.append(feed_topic(opaque))
    assert len(await desk.bus.records(feed_topic(opaque), 1)) == 1


async def test_a_feed_that_does_not_come_loses_its_pointers_and_holds_up_nobody(desk: Desk) -> None:
    desk.world.attach(POLICE, "police", ["patrol"], opaque=f"never{uuid4().hex[:8]}")
    desk.world.state(grant("service:patrol", "school"), grant("service:school", "school"), subject=desk.subject)
    await desk.entry("school", when=desk.now() - timedelta(minutes=1))
    assert [one.data["what"] for one in await desk.feed(SCHOOL, 1)] == ["changed"]
    end = asyncio.get_running_loop().time() + 10
    while await desk.rows("SELECT count(*) FROM outbox") != [(0,)]:
        assert asyncio.get_running_loop().time() < end, "the relay is held up"
        await asyncio.sleep(0.05)


async def test_a_poison_event_becomes_a_dead_letter_and_the_next_goes_on(desk: Desk) -> None:
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    bad = await desk.entry("school", actor=CANARY)
    await desk.entry("school")
    assert len(await desk.feed(POLICE, 1)) == 1
    (letter,) = await desk.bus.records(
        f"{LOGBOOK}.dlq", 1, wanted=lambda one: dict(one.headers).get("ce_id") == bad.id.encode()
    )
    assert b"Kanari" not in dict(letter.headers)["dlq_reason"]


async def test_unknown_types_are_passed_over(desk: Desk) -> None:
    desk.world.state(grant("service:patrol", "school"), subject=desk.subject)
    await desk.happens("meeting.planned.v7")
    await desk.happens("consent.horizon-passed.v1", CONSENT, partition=0, position=1)
    await desk.entry("school")
    assert len(await desk.feed(POLICE, 1)) == 1
    assert await desk.rows("SELECT count(*) FROM inbox") == [(1,)]


async def test_one_consumer_owns_a_subject_on_both_topics(desk: Desk) -> None:
    consumer: Any = make_reader(desk.bus.settings, Delivery(GROUP), None).consumer  # type: ignore[arg-type]
    await consumer.stop()
    assert consumer.subscription() == {LOGBOOK, CONSENT}
    assert consumer._partition_assignment_strategy == (RangePartitionAssignor,)
    assert set(CHANGES) == set(CONSUMED[LOGBOOK])
