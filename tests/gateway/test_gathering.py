"""Records on their way: alone at once, many together in one batch a partition, each with a result of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.partitioner import DefaultPartitioner

from gateway.handlers import gathering as gathering_module
from gateway.handlers.gathering import Batch, Gathering, NotRecorded, Record

TOPIC, PARTITIONS = "access", 12
Raw = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]


class ScriptedBatch:
    """A batch with room for so many records."""

    def __init__(self, room: int) -> None:
        self.records: list[Raw] = []
        self.room = room

    def append(self, *, timestamp: int | None, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        assert timestamp is None, "the broker's clients say when"
        if len(self.records) == self.room:
            return None
        self.records.append((key, value, headers))
        return object()


class ScriptedBatches:
    """Takes batches; they are acknowledged when the test says so, those of a partition that is away never."""

    def __init__(self, *, room: int = 1_000) -> None:
        self.batches: list[tuple[int, ScriptedBatch]] = []
        self.at: list[float] = []
        self.acknowledged = asyncio.Event()
        self.away: set[int] = set()
        self.room = room

    async def partitions_for(self, topic: str) -> set[int]:
        del topic
        return set(range(PARTITIONS))

    def create_batch(self) -> ScriptedBatch:
        return ScriptedBatch(self.room)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Any]:
        del topic
        assert isinstance(batch, ScriptedBatch)
        self.at.append(asyncio.get_running_loop().time())
        self.batches.append((partition, batch))
        return asyncio.Event().wait() if partition in self.away else self.acknowledged.wait()


class Told:
    """What a gathering told of its records."""

    def __init__(self) -> None:
        self.landed: list[Record] = []
        self.failed: list[Record] = []


_opened: list[Gathering] = []


@pytest_asyncio.fixture(autouse=True)
async def all_closed() -> AsyncIterator[None]:
    yield
    while _opened:
        await _opened.pop().close()


def gathering(producer: ScriptedBatches, seconds: float = 0.5) -> tuple[Gathering, Told]:
    told = Told()
    _opened.append(Gathering(producer, TOPIC, seconds, told.landed.extend, told.failed.extend))
    return _opened[-1], told


def record(key: str = "child", value: str = "1") -> Record:
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return Record(key.encode(), value.encode(), [("ce_id", value.encode())], "answered", durable)


def place(key: str) -> int:
    found: int = DefaultPartitioner()(key.encode(), list(range(PARTITIONS)), [])
    return found


async def test_a_record_that_comes_alone_leaves_at_once_however_many_came_alone_before() -> None:
    producer = ScriptedBatches()
    producer.acknowledged.set()
    found, _ = gathering(producer)
    for n in range(20):
        one = record(value=str(n))
        found.add(one)
        for _ in range(5):  # steps of the loop, without time passing
            await asyncio.sleep(0)
        assert len(producer.batches) == n + 1
        await one.durable


async def test_records_that_come_together_leave_in_one_batch_a_partition_in_their_order() -> None:
    producer = ScriptedBatches()
    producer.acknowledged.set()
    found, told = gathering(producer)
    keys = [f"child-{n % 5}" for n in range(50)]
    records = [record(key, str(n)) for n, key in enumerate(keys)]
    for one in records:
        found.add(one)
    await asyncio.gather(*(one.durable for one in records))
    assert len(producer.batches) == len({place(key) for key in keys})
    for partition, batch in producer.batches:
        assert {place(key.decode()) for key, _, _ in batch.records} == {partition}, "not where every client looks"
        numbers = [int(value) for _, value, _ in batch.records]
        assert numbers == sorted(numbers)
    assert sum(len(batch.records) for _, batch in producer.batches) == 50
    assert (len(told.landed), told.failed) == (50, [])


@pytest.mark.parametrize(("many", "least"), [(4, 0.006), (6, 0.009), (200, 0.012)])
async def test_the_more_left_together_the_longer_the_next_wait_for_each_other_but_never_long(
    many: int, least: float
) -> None:
    producer = ScriptedBatches()
    producer.acknowledged.set()
    found, _ = gathering(producer)
    first, then = [record() for _ in range(many)], record()
    for one in first:
        found.add(one)
    await first[0].durable
    left = producer.at[-1]
    found.add(then)
    await then.durable
    assert least - 0.0005 < producer.at[-1] - left < 0.2


async def test_a_partition_that_is_away_fails_its_own_records_in_time_and_no_others() -> None:
    producer = ScriptedBatches()
    producer.acknowledged.set()
    producer.away.add(place("away"))
    found, told = gathering(producer, seconds=0.1)
    lost, kept = record("away"), record("here")
    assert place("away") != place("here")
    found.add(lost)
    found.add(kept)
    await kept.durable
    began = asyncio.get_running_loop().time()
    with pytest.raises(NotRecorded):
        await lost.durable
    assert asyncio.get_running_loop().time() - began < 0.3
    assert (told.failed, told.landed) == ([lost], [kept])


async def test_a_topic_that_nobody_knows_fails_what_left_for_it_in_time() -> None:
    class Unknown(ScriptedBatches):
        async def partitions_for(self, topic: str) -> set[int]:
            await asyncio.Event().wait()
            raise AssertionError(topic)

    found, told = gathering(Unknown(), seconds=0.05)
    one = record()
    found.add(one)
    with pytest.raises(NotRecorded):
        await one.durable
    assert told.failed == [one]


async def test_while_a_batch_is_under_way_its_partition_gathers_the_next_and_others_go_on() -> None:
    producer = ScriptedBatches()
    found, _ = gathering(producer)
    first = record("child")
    found.add(first)
    await asyncio.sleep(0.005)
    then = [record("child", str(n)) for n in range(5)]
    for one in then:
        found.add(one)
        await asyncio.sleep(0.002)
    other = record("here")
    found.add(other)
    await asyncio.sleep(0.005)
    assert [partition for partition, _ in producer.batches] == [place("child"), place("here")]
    producer.acknowledged.set()
    await asyncio.gather(*(one.durable for one in (first, other, *then)))
    assert [value for _, value, _ in producer.batches[-1][1].records] == [b"0", b"1", b"2", b"3", b"4"]


async def test_those_behind_a_batch_that_does_not_land_fail_by_their_own_deadlines() -> None:
    producer = ScriptedBatches()
    found, told = gathering(producer, seconds=0.2)
    loop = asyncio.get_running_loop()
    came: list[tuple[float, Record]] = []
    for n in range(4):
        came.append((loop.time(), record("child", str(n))))
        found.add(came[-1][1])
        await asyncio.sleep(0.04)
    for at, one in came:
        with pytest.raises(NotRecorded):
            await one.durable
        assert loop.time() - at < 0.3
    assert told.failed == [one for _, one in came]
    producer.acknowledged.set()
    await found.close()
    assert [value for _, batch in producer.batches for _, value, _ in batch.records] == [b"0", b"1", b"2", b"3"], (
        "what was let go lands all the same"
    )


async def test_whoever_waits_is_let_go_in_time_however_many_landed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering_module, "_MOST", 50)
    producer = ScriptedBatches()
    producer.acknowledged.set()
    found, told = gathering(producer, seconds=0.1)
    for n in range(200):  # never fifty at once that are not forgotten again
        one = record(value=str(n))
        found.add(one)
        await one.durable
        await asyncio.sleep(0.003)
    producer.acknowledged.clear()
    lost, began = record(), asyncio.get_running_loop().time()
    found.add(lost)
    with pytest.raises(NotRecorded):
        await lost.durable
    assert asyncio.get_running_loop().time() - began < 0.3
    assert (len(told.landed), told.failed) == (200, [lost])


async def test_no_more_wait_at_once_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering_module, "_MOST", 3)
    found, _ = gathering(ScriptedBatches())
    for _ in range(3):
        found.add(record())
    with pytest.raises(NotRecorded):
        found.add(record())


async def test_what_came_before_the_topic_lands_when_it_is_there() -> None:
    class Later(ScriptedBatches):
        tries = 0

        async def partitions_for(self, topic: str) -> set[int]:
            self.tries += 1
            if self.tries == 1:
                raise ConnectionError
            return await super().partitions_for(topic)

    producer = Later()
    producer.acknowledged.set()
    found, told = gathering(producer)
    one = record()
    found.add(one)
    await one.durable
    assert told.landed == [one]


async def test_what_does_not_fit_into_one_batch_comes_in_the_next() -> None:
    producer = ScriptedBatches(room=3)
    producer.acknowledged.set()
    found, _ = gathering(producer)
    records = [record(value=str(n)) for n in range(8)]
    for one in records:
        found.add(one)
    await asyncio.gather(*(one.durable for one in records))
    assert [[value for _, value, _ in batch.records] for _, batch in producer.batches] == [
        [b"0", b"1", b"2"],
        [b"3", b"4", b"5"],
        [b"6", b"7"],
    ]


async def test_whoever_stops_waiting_takes_no_record_away_from_the_others() -> None:
    producer = ScriptedBatches()
    found, told = gathering(producer)
    gone, stays = record(value="1"), record(value="2")
    found.add(gone)
    found.add(stays)
    gone.durable.cancel()
    await asyncio.sleep(0.01)
    producer.acknowledged.set()
    await stays.durable
    assert told.landed == [stays]
    assert len(producer.batches[0][1].records) == 2


async def test_nothing_is_durable_before_the_bus_says_so_and_the_end_waits_for_it() -> None:
    producer = ScriptedBatches()
    found, told = gathering(producer)
    one = record()
    found.add(one)
    ending = asyncio.create_task(found.close())
    await asyncio.sleep(0.03)
    assert not one.durable.done()
    assert not ending.done()
    producer.acknowledged.set()
    await ending
    assert told.landed == [one]
    await one.durable
