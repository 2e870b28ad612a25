"""What the model takes for granted: the lock's session, the batching of lock checks, and which clock it is."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from chassis.clock import lease_now
from chassis.storage import raw_connection
from consent.handlers.leader import Leader
from consent.model.horizon import LEASE_SECONDS, Horizon
from tests.stack import Postgres

PARTITION = "consent.state.v1:0"


async def test_a_session_that_is_silent_loses_its_lock(postgres: Postgres) -> None:
    """A stopped process is silent: the server ends its session, and somebody else can lead."""
    url = postgres.fresh_database("silent")
    silent = await raw_connection(url, idle_timeout="500ms")
    other = await raw_connection(url)
    try:
        assert await silent.fetchval("SELECT pg_try_advisory_lock(1)")
        assert not await other.fetchval("SELECT pg_try_advisory_lock(1)")
        await asyncio.sleep(1.0)
        assert await other.fetchval("SELECT pg_try_advisory_lock(1)")
    finally:
        silent.terminate()
        other.terminate()


class _Session:
    """The lock's connection: each check lasts until it is let through, and then says what is so at that moment."""

    def __init__(self) -> None:
        self.leads = True
        self.begun: list[asyncio.Event] = []

    async def fetchval(self, _query: str, _epoch: int) -> bool:
        found = self.leads  # the database decides when the query comes in
        through = asyncio.Event()
        self.begun.append(through)
        await through.wait()
        return found


@pytest.mark.requirement("F069")
async def test_a_check_serves_only_heartbeats_that_came_before_it_began() -> None:
    """Else a leader could grant on a check from before somebody else took over."""
    nothing: Any = None
    leader = Leader(nothing, nothing, nothing, nothing, nothing)
    horizon = Horizon(1, 0.0, 0.0, [PARTITION], leader._topics)
    horizon.barrier(PARTITION, 0, 1)
    session: Any = _Session()
    leader._horizon, leader._lock_conn = horizon, session
    position = {PARTITION: (1, 1)}
    early = asyncio.create_task(leader.heartbeat("early", position))
    await _until(lambda: len(session.begun) == 1)
    session.leads = False  # somebody else takes over while the first check is on its way back
    late = [asyncio.create_task(leader.heartbeat(name, position)) for name in ("late", "later")]
    await asyncio.sleep(0.01)
    session.begun[0].set()
    assert await early == LEASE_SECONDS
    await _until(lambda: len(session.begun) == 2)
    session.begun[1].set()
    await _until(lambda: len(session.begun) == 3 or all(task.done() for task in late))
    for through in session.begun:
        through.set()
    assert await asyncio.gather(*late) == [None, None]


async def _until(so: Any) -> None:
    async with asyncio.timeout(5.0):
        while not so():
            await asyncio.sleep(0.001)


def test_the_lease_clock_goes_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= lease_now() <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    ("topic", "key", "value", "headers"),
    [
        ("consent.state.v1", b"!barrier", b"", []),
        ("consent.state.v1", b"!barrier", b'{"epoch": "many"}', []),
        ("directory.state.v1", b"!barrier", b"[]", []),
        ("directory.state.v1", b"service:s", b"{}", [("ce_aggregateversion", b"last")]),
        ("consent.state.v1", b"child", b"{}", [("ce_aggregateversion", b"\xff")]),
        ("consent.state.v1", b"child", b"{}", [("ce_aggregateversion", b"3"), ("ce_statemark", b"x")]),
        ("consent.state.v1", b"\xff", None, []),
    ],
)
def test_a_state_record_that_the_leader_cannot_read_stops_nobody_and_opens_nothing(
    topic: str, key: bytes, value: bytes | None, headers: Any
) -> None:
    """It has its place, so gateways must have passed it; and of its subject it is not known any more what they hold."""
    nothing: Any = None
    leader = Leader(nothing, nothing, nothing, nothing, nothing)
    partition = f"{topic}:0"
    horizon = leader._horizon = Horizon(1, 0.0, 0.0, [partition], leader._topics)
    leader._topics.learn("consent.state.v1:0", 0, 0.0, "child", 2, b"m")
    leader._learn(ConsumerRecord(topic, 0, 7, 0, 0, key, value, None, 0, 0, headers))
    assert leader._topics.ends[partition] == 8
    assert not horizon.ready()
    if key == b"child":
        assert not leader._topics.holds("child", 2, b"m")
    assert leader._topics.ahead({"child": 2}) == []
