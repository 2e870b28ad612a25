"""Live streams on real parts: two gateways on a real broker; only log-in, the leader and the logbook are scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from chassis import events
from chassis.clock import lease_now, rfc3339
from gateway.app import Gateway, create_app
from tests import stack
from tests.gateway.door_parts import Known, grant, identify, serve
from tests.gateway.listening import Lag, listening, now
from tests.gateway.test_door_app import Running, contracts, owner_server, records_of, settings, topics

TO_POLICE = grant("g1", "service:police-1", ["school"])


@dataclass
class Two:
    """Two gateways, the bus, and the leader that both ask."""

    gateways: list[Gateway]
    addresses: list[tuple[str, int]]
    running: Running
    producer: AIOKafkaProducer

    def listen(self, gateway: int, **headers: str) -> Any:
        path = f"/subjects/{self.running.handle()}/stream"
        return listening(self.addresses[gateway], path, "police", **headers)

    async def ready(self) -> None:
        """Both let the police listen."""
        for gateway in range(len(self.gateways)):
            end = now() + 20.0
            while True:
                async with self.listen(gateway) as heard:
                    if heard.status == 200:
                        break
                    assert now() < end, (heard.status, heard.body)
                await asyncio.sleep(0.1)

    async def write(self, category: str | None = "school", kind: str = "entry.added.v1", item: str = "") -> str:
        """The logbook says that something happened; the item."""
        item = item or str(uuid4())
        data = {
            "subject": self.running.child, "log": str(uuid4()), "item": item, "category": category,
            "actor": {"kind": "staff", "id": "staff-1", "services": ["school-1"]}, "at": rfc3339(datetime.now(UTC)),
        }  # fmt: skip
        event = events.new_event("logbook", kind, self.running.child, data, datetime.now(UTC))
        await self.producer.send_and_wait(
            "logbook.events.v1", events.value(event), event.key.encode(), headers=events.headers(event)
        )
        return item

    async def confirmed(self, at: Any) -> float:
        """When each gateway has told the leader that it is past this place of the state topic: then it may confirm."""
        name, end = f"{at.topic}:{at.partition}", now() + 10.0
        while len(self._past(name, at.offset)) < len(self.gateways):
            assert now() < end
            await asyncio.sleep(0.001)
        return now()

    def _past(self, name: str, offset: int) -> set[str]:
        reports = self.running.owner.reports
        return {one["incarnation"] for one in reports if one["positions"].get(name, [0, 0])[1] > offset}


@asynccontextmanager
async def gateways(kafka: stack.Kafka, postgres: stack.Postgres, folder: Path, count: int = 2) -> AsyncIterator[Two]:
    topics(kafka)
    routes = contracts(folder)
    async with AsyncExitStack() as opened:
        owner, port = await opened.enter_async_context(owner_server())
        producer = AIOKafkaProducer(**kafka.options, acks="all")
        await producer.start()
        opened.push_async_callback(producer.stop)
        apps, addresses = [], []
        for number in range(count):
            chosen = settings(kafka, postgres.fresh_database("gateway"), routes, port, replica=str(number))
            app = create_app(chosen)

            async def known(scope: Any) -> Known:
                return await identify(scope)

            app.door._identify = app.door._streaming._still = known
            await opened.enter_async_context(app.router.lifespan_context(app))
            addresses.append(await opened.enter_async_context(serve(app)))
            apps.append(app)
        running = Running(apps[0], addresses[0], owner, producer, 0)
        for category in ("school", "health"):
            await running.entity("category", category)
        await running.entity("agency", "police")
        await running.entity("service", "police-1", agency="police")
        await running.entity("attachment", "attachment-1", agency="police", services=["police-1"])
        two = Two(apps, addresses, running, producer)
        await running.state(TO_POLICE)
        await two.ready()
        yield two


@pytest.fixture
async def two(kafka: stack.Kafka, postgres: stack.Postgres, tmp_path: Path) -> AsyncIterator[Two]:
    async with gateways(kafka, postgres, tmp_path) as made:
        yield made


@asynccontextmanager
async def writing(two: Two, pause: float = 0.005) -> AsyncIterator[list[str]]:
    """Something happens all the time."""
    items: list[str] = []

    async def work() -> None:
        while True:
            items.append(await two.write())
            await asyncio.sleep(pause)

    task = asyncio.create_task(work())
    try:
        yield items
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_both_gateways_tell_what_happens_each_message_recorded(two: Two, kafka: stack.Kafka) -> None:
    async with two.listen(0) as first, two.listen(1) as second:
        await two.write("health")
        item = await two.write()
        await two.write(None, "log.level-changed.v1")
        for heard in (first, second):
            one, log = await heard.until(2)
            assert (one.data["kind"], one.data["item"], one.data["category"]) == ("entry.added", item, "school")
            assert (log.data["kind"], log.data["item"]) == ("log.level-changed", None)
        assert [one.id for one in first.messages] == [one.id for one in second.messages]
    found = await records_of(kafka, two.running.child, 8)
    told = [data for kind, data in found if kind == "access.recorded.v1" and data["outcome"] == "answered"]
    assert {data["route"] for data in told} == {"gateway.stream"}
    assert [data["categories"] for data in told].count(["school"]) == len(told)
    opened = 2 + 2  # each gateway once more until it was ready
    assert len(told) >= opened + 4
    assert all(data["grants"] == ["g1"] for data in told)


@pytest.mark.requirement("F069")
async def test_after_a_confirmed_withdrawal_not_one_more_message_comes_from_any_gateway(two: Two) -> None:
    async with Lag() as lag, two.listen(0) as first, two.listen(1) as second, writing(two):
        for heard in (first, second):
            await heard.until(10)
        at = await two.running.state()
        confirmed = await two.confirmed(at)
        for heard in (first, second):
            assert await heard.over() == "closed"
            assert heard.ended_at < confirmed + lag.within(0.1)
            assert heard.messages[-1].at <= confirmed
        count = len(first.messages), len(second.messages)
        await asyncio.sleep(0.5)
        assert (len(first.messages), len(second.messages)) == count
        async with two.listen(0, last_event_id=first.last_id) as again:
            assert again.status == 404


async def test_what_is_granted_anew_is_told_anew_from_where_the_reader_was(two: Two) -> None:
    async with two.listen(0) as heard:
        await two.write()
        [first] = await heard.until(1)
        await two.confirmed(await two.running.state())
        assert await heard.over() == "closed"
    missed = await two.write()
    await two.confirmed(await two.running.state(grant("g2", "service:police-1", ["school"])))
    async with two.listen(1, last_event_id=first.id) as again:
        [message] = await again.until(1)
        assert message.data["item"] == missed


async def test_without_a_leader_every_stream_ends_within_100_ms_of_the_lease_and_comes_back(two: Two) -> None:
    async with Lag() as lag, two.listen(0) as first, two.listen(1) as second, writing(two, 0.02):
        await first.until(3)
        two.running.owner.lease = 0.0
        for gateway, heard in zip(two.gateways, (first, second), strict=True):
            assert await heard.over(6.0) == "closed"
            late = heard.ended_at - _monotonic(gateway.door._lease.until)
            assert -0.05 < late < lag.within(0.1), late
            assert heard.messages[-1].at < _monotonic(gateway.door._lease.until) + lag.within(0.05)
        async with two.listen(0) as refused:
            assert refused.status == 503
        two.running.owner.lease = 5.0
        end = now() + 2.0
        while True:
            async with two.listen(0, last_event_id=first.last_id) as again:
                if again.status == 200:
                    assert (await again.until(1))[0].event == "changed"
                    break
            assert now() < end
            await asyncio.sleep(0.05)


def _monotonic(lease_moment: float) -> float:
    """A moment of the lease clock on this test's clock."""
    return lease_moment - lease_now() + now()


async def test_who_is_cut_off_at_one_gateway_goes_on_at_the_other(two: Two) -> None:
    async with two.listen(0) as heard, writing(two) as items:
        await heard.until(5)
        heard_first = [one.data["item"] for one in heard.messages]
        last = heard.messages[-1].id
        async with two.listen(1, last_event_id=last) as again:
            await again.until(20)
            told = [*heard_first, *(one.data["item"] for one in again.messages)]
    place = items.index(told[0])
    assert told == items[place : place + len(told)], "something was lost or came twice"


async def test_a_gateway_that_started_later_knows_what_happened_before(
    two: Two, kafka: stack.Kafka, postgres: stack.Postgres, tmp_path: Path
) -> None:
    async with two.listen(0) as heard:
        await two.write()
        [first] = await heard.until(1)
    missed = await two.write()
    (tmp_path / "late").mkdir()
    async with gateways(kafka, postgres, tmp_path / "late", 1) as late:
        await late.ready()
        late.running.child = two.running.child
        async with late.listen(0, last_event_id=first.id) as again:
            assert (await again.until(1))[0].data["item"] == missed
