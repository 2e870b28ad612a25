"""Delivery on a real Kafka: order, dead letters, waiting for a part, the limit, and what a killed process leaves."""

import asyncio
import base64
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, ConfigDict

from chassis.consuming import PART, consume, watch_progress
from chassis.delivery import Delivery, Limits, PartFailure
from chassis.health import Health
from chassis.kafka import make_broker, make_router, subscription
from tests.bus import Bus, Record, open_bus, until
from tests.stack import Kafka, Postgres

PARTITIONS = 3
PROCESS = Path(__file__).with_name("consumer_process.py")


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


@dataclass
class Probe:
    """A bus with one topic, and a consumer of it."""

    bus: Bus
    topic: str

    @property
    def group(self) -> str:
        return f"{self.topic}.group"

    @property
    def producer(self) -> AIOKafkaProducer:
        return self.bus.producer

    async def put(self, body: bytes, *, kind: str = "probe.v1", **more: Any) -> str:
        return await self.bus.put(self.topic, body, kind=kind, **more)

    async def letters(self, count: int, within: float = 10.0) -> list[Record]:
        return await self.bus.records(f"{self.topic}.dlq", count, within)

    async def committed(self) -> dict[int, int]:
        return await self.bus.committed(self.group, self.topic)

    @asynccontextmanager
    async def consuming(
        self, delivery: Delivery, handle: Callable[[Body], Awaitable[None]], *, attached: bool = True
    ) -> AsyncIterator[KafkaBroker]:
        """Run a broker with one typed handler and a last one for unknown types."""
        router = make_router()
        take: DefaultSubscriber = router.subscriber(self.topic, **subscription(self.bus.settings, self.group))

        @take(filter=lambda message: message.headers.get("ce_type") == "probe.v1")
        async def probe(body: Body) -> None:
            await handle(body)

        @take
        async def unknown(message: KafkaMessage) -> None:
            return

        if attached:
            delivery.attach(self.producer)
        broker = make_broker(self.bus.settings, TracerProvider(), [delivery])
        broker.include_router(router)
        await broker.start()
        try:
            yield broker
        finally:
            await broker.stop()


def body(n: int) -> bytes:
    return json.dumps({"n": n}).encode()


@pytest.fixture
async def database(postgres: Postgres) -> str:
    return postgres.fresh_database("delivery")


@pytest.fixture
async def probe(kafka: Kafka, database: str) -> AsyncIterator[Probe]:
    async with open_bus(kafka, database) as bus:
        yield Probe(bus, bus.topic("delivery", PARTITIONS))


@pytest.fixture
async def effects(database: str) -> AsyncIterator[Callable[[], Awaitable[list[str]]]]:
    conn = await asyncpg.connect(database.replace("+asyncpg", ""))
    await conn.execute(
        "CREATE TABLE inbox (event varchar(64), handler varchar(64), handled_at timestamptz DEFAULT now(),"
        " PRIMARY KEY (event, handler)); CREATE TABLE effect (n serial PRIMARY KEY, event varchar(64))"
    )

    async def read() -> list[str]:
        return [row["event"] for row in await conn.fetch("SELECT event FROM effect ORDER BY n")]

    yield read
    await conn.close()


async def test_a_failing_first_try_keeps_the_order_of_the_partition(probe: Probe) -> None:
    seen: list[int] = []
    failed: set[int] = set()

    async def handle(one: Body) -> None:
        if one.n % 5 == 2 and one.n not in failed:
            failed.add(one.n)
            raise LookupError
        seen.append(one.n)

    for n in range(20):
        await probe.put(body(n), partition=0)
    async with probe.consuming(Delivery("probe"), handle):
        await until(lambda: len(seen) == 20)
    assert seen == list(range(20))
    assert failed == {2, 7, 12, 17}
    assert await probe.letters(1, within=1.0) == []


POISON = {
    "not JSON": (b'{"n": Kari Nordmann', "json.decoder.JSONDecodeError"),
    "wrong type": (b'{"n": "Kari Nordmann"}', "int_parsing at"),
    "unknown field": (b'{"n": 1, "Kari Nordmann": 2}', "extra_forbidden at"),
    "missing field": (b"{}", "missing at"),
    "refused by the rules": (b'{"n": -1}', "builtins.ValueError at tests.chassis.test_delivery:handle"),
    "no value": (b"", ""),
}


@pytest.mark.parametrize("case", sorted(POISON))
async def test_a_poison_message_is_set_aside_whole_and_the_next_go_on(probe: Probe, case: str) -> None:
    poison, why = POISON[case]
    seen: list[int] = []
    delivery = Delivery("probe")

    async def handle(one: Body) -> None:
        if one.n < 0:
            raise ValueError(f"Kari Nordmann {one.n}")
        seen.append(one.n)

    event = await probe.put(poison, key="bad", partition=1, traceparent=b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
    await probe.put(body(7), partition=1)
    started = time.monotonic()
    async with probe.consuming(delivery, handle):
        await until(lambda: seen == [7])
        took = time.monotonic() - started
        await until(lambda: delivery.check() is None)
    (letter,) = await probe.letters(1)
    told = {name: value.decode() for name, value in letter.headers}
    assert (letter.key, letter.value) == (b"bad", poison)
    assert told["ce_id"] == event
    assert told["traceparent"].startswith("00-aaaa")
    assert (told["dlq_topic"], told["dlq_partition"], told["dlq_offset"]) == (probe.topic, "1", "0")
    assert (told["dlq_consumer"], told["dlq_time"][-1]) == ("probe", "Z")
    assert why in told["dlq_reason"]
    assert "Nordmann" not in told["dlq_reason"]
    assert took < 5.0
    assert (await probe.committed())[1] == 2


async def test_a_poison_message_holds_up_other_keys_no_longer_than_its_tries(probe: Probe) -> None:
    done: dict[int, float] = {}
    tries: list[float] = []

    async def handle(one: Body) -> None:
        if one.n == 0:
            tries.append(time.monotonic())
            raise KeyError
        done[one.n] = time.monotonic()

    await probe.put(body(0), key="bad", partition=0)
    for n in (1, 2, 3):
        await probe.put(body(n), key=f"good{n}", partition=n % PARTITIONS)
    async with probe.consuming(Delivery("probe"), handle):
        await until(lambda: len(done) == 3)
    assert len(tries) == 3
    assert tries[-1] - tries[0] < 2.0
    assert max(done.values()) - tries[0] < 2.0


async def test_nothing_is_committed_until_the_dead_letter_is_durable(probe: Probe) -> None:
    seen: list[int] = []
    delivery = Delivery("probe")

    async def handle(one: Body) -> None:
        seen.append(one.n)

    await probe.put(b"[]", partition=0)
    await probe.put(body(1), partition=0)
    async with probe.consuming(delivery, handle, attached=False):
        await until(lambda: delivery.check() is not None)
        await asyncio.sleep(0.5)
        assert seen == []
        assert (await probe.committed()).get(0, 0) == 0
        delivery.attach(probe.producer)
        await until(lambda: seen == [1])
        assert delivery.check() is None
    assert len(await probe.letters(1)) == 1


async def test_a_part_that_fails_pauses_its_partition_alone_and_loses_nothing(probe: Probe) -> None:
    away = True
    tried: list[float] = []
    seen: list[int] = []
    delivery = Delivery("probe", Limits(longest_wait=1.0))

    async def handle(one: Body) -> None:
        if away and one.n < 10:
            tried.append(time.monotonic())
            raise ConnectionRefusedError("Kari Nordmann")
        seen.append(one.n)

    for n in range(3):
        await probe.put(body(n), partition=0)
    for n in range(10, 20):
        await probe.put(body(n), partition=1)
    async with probe.consuming(delivery, handle):
        await until(lambda: len(seen) == 10 and len(tried) >= 4)
        assert seen == list(range(10, 20))
        trouble = delivery.check()
        assert trouble is not None
        assert "ConnectionRefusedError" in trouble
        assert "Nordmann" not in trouble
        waits = [later - earlier for earlier, later in itertools.pairwise(tried)]
        assert waits[0] < waits[1] < waits[2]
        assert (await probe.committed()).get(0, 0) == 0
        away = False
        await until(lambda: len(seen) == 13)
        assert delivery.check() is None
    assert seen[10:] == [0, 1, 2]
    assert await probe.letters(1, within=1.0) == []


async def test_a_handler_that_hangs_counts_as_a_missing_part(probe: Probe) -> None:
    tries = 0
    delivery = Delivery("probe", Limits(handling=0.3))

    async def handle(one: Body) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            await asyncio.sleep(60)

    await probe.put(body(1), partition=0)
    async with probe.consuming(delivery, handle):
        await until(lambda: tries >= 2)
        assert "TimeoutError" in (delivery.check() or "")
        await until(lambda: tries == 3 and delivery.check() is None)


async def test_too_many_dead_letters_in_a_row_stop_the_consumer_and_keep_the_rest(probe: Probe) -> None:
    bad = True
    seen: list[int] = []

    async def handle(one: Body) -> None:
        if bad:
            raise AttributeError
        seen.append(one.n)

    limits = Limits(between=0.0, in_a_row=5)
    delivery = Delivery("probe", limits)
    for n in range(12):
        await probe.put(body(n), partition=0)
    async with probe.consuming(delivery, handle):
        await until(lambda: delivery.stopped(probe.topic))
        await asyncio.sleep(0.5)
        assert "too many dead letters" in (delivery.check() or "")
        assert (await probe.committed())[0] == 5
    bad = False
    again = Delivery("probe", limits)
    async with probe.consuming(again, handle):
        await until(lambda: len(seen) == 7)
    assert seen == list(range(5, 12))
    assert len(await probe.letters(6, within=2.0)) == 5


async def test_too_large_a_share_of_dead_letters_stops_the_consumer(probe: Probe) -> None:
    handled = 0

    async def handle(one: Body) -> None:
        nonlocal handled
        handled += 1
        if one.n % 3:
            raise AttributeError

    delivery = Delivery("probe", Limits(between=0.0, tries=1, share=0.5, last=20))
    for n in range(40):
        await probe.put(body(n), partition=0)
    async with probe.consuming(delivery, handle):
        await until(lambda: delivery.stopped(probe.topic))
        await asyncio.sleep(0.3)
    assert len(await probe.letters(11, within=2.0)) == 10
    assert handled < 40


async def test_a_header_that_is_no_text_is_a_dead_letter_with_its_bytes(probe: Probe) -> None:
    seen: list[int] = []

    async def handle(one: Body) -> None:
        seen.append(one.n)

    await probe.put(body(1), partition=0, odd=b"\xff\xfe")
    await probe.put(body(2), partition=0)
    async with probe.consuming(Delivery("probe"), handle):
        await until(lambda: seen == [2])
    (letter,) = await probe.letters(1)
    assert dict(letter.headers)["odd"] == b"\xff\xfe"


async def test_nobody_is_answered_because_a_header_asks_for_it(probe: Probe) -> None:
    seen: list[int] = []

    async def handle(one: Body) -> None:
        seen.append(one.n)

    await probe.put(body(1), partition=0, reply_to=f"{probe.topic}.dlq".encode())
    async with probe.consuming(Delivery("probe"), handle):
        await until(lambda: seen == [1])
    assert await probe.letters(1, within=1.0) == []


async def test_an_unknown_type_ends_in_the_last_handler_and_is_committed(probe: Probe) -> None:
    seen: list[int] = []

    async def handle(one: Body) -> None:
        seen.append(one.n)

    await probe.put(b"[1]", partition=0, kind="later.v2")
    await probe.put(body(1), partition=0)
    async with probe.consuming(Delivery("probe"), handle):
        await until(lambda: seen == [1])
    assert (await probe.committed())[0] == 2
    assert await probe.letters(1, within=1.0) == []


async def test_a_subscriber_without_a_last_handler_sets_unknown_types_aside_instead_of_spinning(probe: Probe) -> None:
    router = make_router()
    take: DefaultSubscriber = router.subscriber(probe.topic, **subscription(probe.bus.settings, probe.group))
    seen: list[int] = []

    @take(filter=lambda message: message.headers.get("ce_type") == "probe.v1")
    async def typed(one: Body) -> None:
        seen.append(one.n)

    delivery = Delivery("probe")
    delivery.attach(probe.producer)
    broker = make_broker(probe.bus.settings, TracerProvider(), [delivery])
    broker.include_router(router)
    await probe.put(b"{}", partition=0, kind="later.v2")
    await probe.put(body(1), partition=0)
    await broker.start()
    try:
        await until(lambda: seen == [1])
    finally:
        await broker.stop()
    (letter,) = await probe.letters(1)
    assert b"SubscriberNotFound" in dict(letter.headers)["dlq_reason"]


async def test_a_consumer_that_stands_still_before_the_end_is_not_ready(probe: Probe) -> None:
    away = True

    async def handle(one: Body) -> None:
        if away:
            raise PartFailure("lease")

    health = Health()
    await probe.put(body(1), partition=0)
    async with probe.consuming(Delivery("probe", Limits(longest_wait=0.5)), handle) as broker:
        watching = asyncio.create_task(watch_progress(broker, health, every=0.1, patience=1.0))
        try:
            await until(lambda: "consumer" in health.reasons())
            assert health.reasons()["consumer"] == f"no progress: {probe.topic} 0"
            away = False
            await until(lambda: health.reasons() == {})
        finally:
            watching.cancel()


class Member:
    """A consumer in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[tuple[str, str]] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, probe: Probe, replica: str, *, linger: str = "", session_ms: int = 45_000) -> "Member":
        known = probe.bus.settings
        asked = {
            "topic": probe.topic, "group": probe.group, "linger": linger, "session_ms": session_ms,
            "settings": {
                "replica": replica, "kafka_bootstrap": known.kafka_bootstrap, "kafka_user": known.kafka_user,
                "kafka_password": known.kafka_password.get_secret_value(),
                "database_url": known.database_url.get_secret_value(),
                "inner_key": base64.b64encode(b"k" * 32).decode(),
            },
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROCESS), json.dumps(asked), stdout=asyncio.subprocess.PIPE
        )
        member = cls(process)
        await until(lambda: ("started", "-") in member.lines, 40.0)
        return member

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            word, event = line.decode().split()
            self.lines.append((word, event))

    def said(self, word: str) -> list[str]:
        return [event for found, event in self.lines if found == word]

    async def kill(self) -> None:
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await self._reading


async def test_a_killed_consumer_gets_its_message_again_and_the_effect_stays_one(
    probe: Probe, effects: Callable[[], Awaitable[list[str]]]
) -> None:
    events = [await probe.put(body(n), partition=0) for n in range(6)]
    first = await Member.start(probe, "a", linger=events[3])
    try:
        await until(lambda: events[3] in first.said("done"), 30.0)
    finally:
        await first.kill()
    # The same static member comes back: the group does not wait for the session (45 s) to end.
    started = time.monotonic()
    second = await Member.start(probe, "a")
    try:
        await until(lambda: events[5] in second.said("done"), 30.0)
        took = time.monotonic() - started
    finally:
        await second.kill()
    assert took < 20.0
    assert second.said("handling")[0] == events[3], "the message whose offset was not committed comes again"
    assert sorted(await effects()) == sorted(events)


async def test_another_member_takes_over_the_partitions_of_one_that_does_not_come_back(
    probe: Probe, effects: Callable[[], Awaitable[list[str]]]
) -> None:
    stays = await Member.start(probe, "a", session_ms=6_000)
    goes = await Member.start(probe, "b", session_ms=6_000)
    try:
        before = [await probe.put(body(n), partition=n % PARTITIONS) for n in range(6)]
        await until(lambda: len(stays.said("done")) + len(goes.said("done")) >= 6, 30.0)
        assert goes.said("done"), "both members had partitions"
        await goes.kill()
        after = [await probe.put(body(n), partition=n % PARTITIONS) for n in range(6)]
        await until(lambda: set(after) <= set(stays.said("done")), 40.0)
    finally:
        await goes.kill()
        await stays.kill()
    assert sorted(await effects()) == sorted(before + after)


async def test_a_kafka_that_is_away_is_waited_for_and_does_not_hold_up_the_stop(probe: Probe) -> None:
    settings = probe.bus.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    health = Health(PART)
    made: list[KafkaBroker] = []

    def make() -> KafkaBroker:
        made.append(make_broker(settings, TracerProvider()))
        return made[-1]

    task = asyncio.create_task(consume(settings, Delivery("probe"), make, health))
    await until(lambda: len(made) > 2)
    assert health.reasons() == {PART: "KafkaConnectionError"}
    task.cancel()
    started = time.monotonic()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert time.monotonic() - started < 5.0


async def test_a_consumer_runs_until_it_is_cancelled_and_goes_on_where_it_was(probe: Probe) -> None:
    seen: list[int] = []

    def make() -> KafkaBroker:
        router = make_router()
        take: DefaultSubscriber = router.subscriber(probe.topic, **subscription(probe.bus.settings, probe.group))

        @take
        async def typed(one: Body) -> None:
            seen.append(one.n)

        broker = make_broker(probe.bus.settings, TracerProvider())
        broker.include_router(router)
        return broker

    for n in range(2):
        health = Health(PART)
        task = asyncio.create_task(consume(probe.bus.settings, Delivery("probe"), make, health))
        await until(partial(_ready, health))
        await probe.put(body(n), partition=0)
        await until(partial(_holds, seen, n + 1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert seen == [0, 1]


def _ready(health: Health) -> bool:
    return not health.reasons()


def _holds(seen: list[int], count: int) -> bool:
    return len(seen) == count


async def test_a_stop_waits_for_no_handler_longer_than_its_grace_and_leaves_none_running(probe: Probe) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    def make() -> KafkaBroker:
        router = make_router()
        take: DefaultSubscriber = router.subscriber(probe.topic, **subscription(probe.bus.settings, probe.group))

        @take
        async def typed(one: Body) -> None:
            began.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.2)  # as a transaction is rolled back
                ended.set()

        broker = make_broker(probe.bus.settings, TracerProvider())
        broker.include_router(router)
        return broker

    await probe.put(body(1), partition=0)
    task = asyncio.create_task(consume(probe.bus.settings, Delivery("probe"), make, Health(PART)))
    await until(began.is_set)
    task.cancel()
    started = time.monotonic()
    await asyncio.gather(task, return_exceptions=True)
    assert ended.is_set()
    assert time.monotonic() - started < 5.0
    assert (await probe.committed()).get(0, 0) == 0
