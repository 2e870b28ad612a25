"""The last step on real sockets: into an empty buffer, at most 16 KiB at a time, each checked, broken off when slow."""

import asyncio
import json
import socket
import time
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
import uvloop

from gateway.api.wire import CHUNK_BYTES, Handed, UvicornWire, hand_over, wire_of
from gateway.handlers.answers import Changed
from gateway.handlers.forward import Given, Inner
from gateway.model.lease import Lease
from tests.gateway.door_parts import CHILD, Rig, given, item, rig, serve

LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def on(loop: str, work: Coroutine[Any, Any, None]) -> None:
    """Run in a loop of its own: what a write does differs between loops."""
    LOOPS[loop](work)


def slow_client(door: Rig) -> socket.socket:
    """A client that asks and does not read: its buffer is as small as the kernel allows."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.connect(door.address)
    path = f"/subjects/{door.handle('teacher')}/items"
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer teacher\r\n\r\n".encode())
    return client


async def large(_: Inner) -> Given:
    """More than any kernel takes for a client that does not read."""
    return given({"items": [item(f"i{n}", "school", text="x" * 100_000) for n in range(70)], "next": None})


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_written_has_reached_the_kernel_when_the_step_ends(loop: str) -> None:
    async def work() -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            wire: UvicornWire = wire_of(scope)
            wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            # No await since the write: if the bytes are with the client now, they left in this very step.
            seen["empty"] = wire.empty()
            seen["there"] = seen["client"].recv(1000)
            wire.finish()

        async with serve(app) as address:
            client = seen["client"] = socket.create_connection(address)
            client.settimeout(1)
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            while "there" not in seen:
                await asyncio.sleep(0.01)
            client.close()
        assert seen["empty"]
        assert seen["there"].endswith(b"ok")

    on(loop, work())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_does_not_read_is_broken_off_and_holds_the_report_back_until_then(loop: str) -> None:
    async def work() -> None:
        async with rig() as door:
            door.services.reply = large
            lease = door.world.lease
            before = lease.report()
            client = slow_client(door)
            began = time.monotonic()
            while not lease._outgoing:
                await asyncio.sleep(0.001)
            checked_at = lease.report()
            door.world.state("88888888-8888-4888-8888-888888888888")  # another change is applied meanwhile
            assert lease.report() == checked_at == before, "the report passed an answer that was still on its way out"
            while lease._outgoing:
                await asyncio.sleep(0.001)
            assert time.monotonic() - began < 3.0
            assert lease.report() != before
            while not door.records.held:
                await asyncio.sleep(0.001)
            assert door.records.held == [(door.records.sent[0].id, "cut-off")]
            await asyncio.sleep(0.05)
            client.settimeout(1)
            with client, pytest.raises(ConnectionResetError):
                while client.recv(1 << 20):
                    pass

    on(loop, work())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_withdrawal_stops_an_answer_between_two_chunks(loop: str) -> None:
    async def work() -> None:
        async with rig() as door:
            door.services.reply = large
            reader, writer = await asyncio.open_connection(*door.address)
            path = f"/subjects/{door.handle('teacher')}/items"
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer teacher\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            door.world.state(CHILD)
            got = 0
            try:
                while piece := await reader.read(1 << 16):
                    got += len(piece)
            except ConnectionResetError:
                pass
            assert got < length
            assert door.records.held == [(door.records.sent[0].id, "cut-off")]
            writer.close()

    on(loop, work())


async def test_a_long_answer_that_is_read_comes_whole_over_one_connection() -> None:
    async with rig() as door:
        door.services.reply = large
        for _ in range(2):
            told = await door.ask("teacher", "GET", "/subjects/{h}/items")
            assert len(json.loads(told.body)["items"]) == 70
        assert door.records.held == []


class Paper:
    """A wire that takes what it is given, and is emptied when it is told to be."""

    def __init__(self, *, full: bool = False) -> None:
        self.written: list[bytes] = []
        self.full = full
        self.ended: str | None = None

    def gone(self) -> bool:
        return False

    def empty(self) -> bool:
        return not self.full

    async def emptied(self, seconds: float) -> bool:
        assert seconds <= 0.15
        return not self.full

    def write(self, data: bytes) -> None:
        assert not self.full, "written into a buffer that was not empty"
        self.written.append(data)

    def finish(self) -> None:
        self.ended = "finished"

    def abort(self) -> None:
        self.ended = "aborted"

    def keeps_alive(self) -> bool:
        return True


async def test_head_and_first_chunk_are_one_write_and_each_chunk_is_checked() -> None:
    wire, checks = Paper(), []
    body = b"x" * (3 * CHUNK_BYTES)
    handed = await hand_over(wire, 200, lambda: [(b"a", b"b")], body, lambda: checks.append(1), Lease("t"))
    assert handed is Handed.WHOLE
    assert all(len(piece) <= CHUNK_BYTES for piece in wire.written)
    assert wire.written[0].startswith(b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 49152\r\n\r\nx")
    assert b"".join(wire.written).endswith(body)
    assert len(checks) == len(wire.written) == 4


async def test_nothing_is_written_before_an_earlier_answer_has_left() -> None:
    wire, checks = Paper(full=True), []
    handed = await hand_over(wire, 200, list, b"x", lambda: checks.append(1), Lease("t"))
    assert (handed, wire.written, checks, wire.ended) == (Handed.NOTHING, [], [], "aborted")


async def test_a_check_that_fails_first_leaves_nothing_and_one_that_fails_later_breaks_off() -> None:
    def refuse() -> None:
        raise Changed("decided-anew")

    wire = Paper()
    with pytest.raises(Changed):
        await hand_over(wire, 200, list, b"x", refuse, Lease("t"))
    assert wire.written == []

    passes = iter([None])

    def once() -> None:
        if next(passes, refuse) is not None:
            refuse()

    handed = await hand_over(wire, 200, list, b"x" * CHUNK_BYTES, once, Lease("t"))
    assert (handed, len(wire.written), wire.ended) == (Handed.BROKEN, 1, "aborted")


class Slow(Paper):
    """A wire whose client takes the first chunk at once, and each later one only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()
        self.left = False

    def gone(self) -> bool:
        return self.left

    async def emptied(self, seconds: float) -> bool:
        del seconds
        await self.taken.wait()
        self.full = False
        return True

    def write(self, data: bytes) -> None:
        super().write(data)
        self.full = len(self.written) > 1


async def handing_over(wire: Slow, lease: Lease) -> "asyncio.Task[Handed]":
    """An answer of three chunks whose second one is with the transport, and no further."""
    lease.applied("consent.state.v1:0", 5)
    going = asyncio.create_task(hand_over(wire, 200, list, b"x" * (2 * CHUNK_BYTES), lambda: None, lease))
    while len(wire.written) < 2:
        await asyncio.sleep(0)
    return going


async def test_a_later_chunk_holds_back_the_report_from_the_very_step_that_wrote_it() -> None:
    wire, lease = Slow(), Lease("t")
    going = await handing_over(wire, lease)
    lease.applied("consent.state.v1:0", 9)  # what the chunk rests on ends, at the first turn that others can have
    assert lease.report() == {"consent.state.v1:0": (0, 5)}, "confirmed while the chunk has not left"
    await asyncio.sleep(0.01)
    assert lease.report() == {"consent.state.v1:0": (0, 5)}
    wire.taken.set()
    assert await going is Handed.WHOLE
    assert lease.report() == {"consent.state.v1:0": (0, 9)}


async def test_a_hand_over_that_is_cancelled_breaks_the_connection_off_before_the_report_goes_on() -> None:
    wire, lease = Slow(), Lease("t")
    going = await handing_over(wire, lease)
    lease.applied("consent.state.v1:0", 9)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert wire.ended == "aborted", "what the transport still has would leave after its report"
    assert lease.report() == {"consent.state.v1:0": (0, 9)}


async def test_nothing_is_written_to_a_client_that_left_in_the_middle() -> None:
    wire, lease, told = Slow(), Lease("t"), list[int]()
    body = b"x" * (2 * CHUNK_BYTES)
    going = asyncio.create_task(hand_over(wire, 200, list, body, lambda: None, lease, wrote=told.append))
    while not wire.written:
        await asyncio.sleep(0)
    wire.left = True
    assert (await going, len(wire.written), wire.ended) == (Handed.BROKEN, 1, "aborted")
    assert 0 < told[-1] < len(body)


async def test_what_was_cut_off_by_the_gateways_own_end_is_told_as_cut_off_and_how_far_it_came() -> None:
    async with rig() as door:
        door.services.reply = large
        client = slow_client(door)
        while not door.world.lease._outgoing:
            await asyncio.sleep(0.001)
        for task in asyncio.all_tasks():
            if "run_asgi" in repr(task.get_coro()):
                task.cancel()
        while not door.records.held:
            await asyncio.sleep(0.001)
        [(record, reason)] = door.records.held
        sent, of = door.records.came[record]
        assert reason == "cut-off", "the reader has some of it"
        assert 0 < sent < of
        client.close()


async def test_a_server_without_our_protocol_gives_no_answer() -> None:
    async with rig() as door:
        headers = {"authorization": "Bearer teacher"}
        transport = httpx.ASGITransport(door.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            with pytest.raises(RuntimeError, match="DoorProtocol"):
                await client.get(f"/subjects/{door.handle('teacher')}/items")
        assert door.happened == []


@pytest.mark.parametrize("loop", LOOPS)
def test_the_transport_takes_nothing_into_a_buffer_of_its_own_unnoticed(loop: str) -> None:
    async def work() -> None:
        limits: list[tuple[int, int]] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            wire = wire_of(scope)
            limits.append(wire._transport.get_write_buffer_limits())
            wire.abort()

        async with serve(app) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            while not limits:
                await asyncio.sleep(0.001)
            writer.close()
        assert limits == [(0, 0)]

    on(loop, work())
