"""Readers of streams who take nothing: they are cut off, and cost nobody else anything."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest

from gateway.handlers import streams
from tests.gateway.door_parts import CHILD, OTHER, Rig, grant, rig
from tests.gateway.listening import Lag, happens, listen, now
from tests.gateway.test_door_wire import LOOPS, on

SLOW = 200


@contextmanager
def taking_nothing(door: Rig) -> Iterator[socket.socket]:
    """A client that listens and does not read: its buffer is as small as the kernel allows."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.connect(door.address)
        path = f"/subjects/{door.handle('teacher')}/stream"
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer teacher\r\n\r\n".encode())
        yield client


async def opened(door: Rig, count: int) -> None:
    while len(door.streams._all) < count or len(door.records.sent) < count:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reader_who_takes_nothing_is_cut_off_within_150_ms_of_the_first_message_that_is_stuck(loop: str) -> None:
    async def work() -> None:
        async with rig() as door:
            with taking_nothing(door) as client:
                await opened(door, 1)
                said = 0
                while door.streams._all and said < 500:
                    happens(door)
                    said += 1
                    before = now()
                    while len(door.records.sent) <= said and door.streams._all:
                        await asyncio.sleep(0)
                    while door.world.lease._outgoing and now() < before + 1.0:
                        await asyncio.sleep(0.001)
                assert said < 100, "the kernel took too much"
                assert now() - before < 0.4
                assert [reason for _, reason in door.records.held] == ["cut-off"]
                assert door.world.lease._outgoing == {}
                await asyncio.sleep(0.05)
                client.settimeout(1)
                with pytest.raises(ConnectionResetError):
                    while client.recv(1 << 16):
                        pass

    on(loop, work())


async def test_hundreds_of_readers_who_take_nothing_cost_nobody_the_lease_and_delay_no_other_reader() -> None:
    with mock.patch.object(streams, "STREAMS_PER_READER", SLOW + 1), ExitStack() as open_:
        async with rig() as door:
            both = [grant("g1", "service:school-1", ["school"]), grant("g2", "service:police-1", ["school"])]
            door.world.state(CHILD, *both)
            for n in range(SLOW):
                client = open_.enter_context(taking_nothing(door))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await opened(door, n + 1)
            async with listen(door, "police") as quick, Lag() as lag:
                worst, delay = 0.0, 0.0
                for n in range(60):
                    asked = now()
                    happens(door)
                    door.world.state(OTHER)  # another change is applied: how soon may the leader be told of it?
                    wanted = door.world.lease._positions
                    while door.world.lease.report() != wanted:
                        await asyncio.sleep(0.001)
                    worst = max(worst, now() - asked)
                    await quick.until(n + 1)
                    delay = max(delay, quick.messages[-1].at - asked)
                    if len(door.streams._all) == 1:
                        break
                assert len(door.streams._all) == 1, "slow readers are still served"
                assert worst < lag.within(0.5), "the report was held back for too long"
                assert delay < lag.within(1.0)
                assert quick.ended is None
