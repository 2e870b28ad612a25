"""A withdrawal while a large export is on its way: it is broken off, and the record says how far it came."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.handlers.records import Look
from tests.gateway.door_parts import CHILD, GUARDIAN, Rig, grant, rig
from tests.gateway.test_paper import look, paper_of, sees_looks, table

ROWS = 60_000


async def exporting(door: Rig, in_between: Callable[[], None]) -> tuple[int, int]:
    """Read the beginning of the guardian's file, let something happen, read on: bytes that came, and that were told."""
    sees_looks(door.world)
    columns = [{"title": name, "field": name} for name in ("at", "categories", "text")]
    door.services.reply = paper_of(table(*(look("school") for _ in range(ROWS)), columns=columns))
    reader, writer = await asyncio.open_connection(*door.address, limit=1 << 14)
    path = f"/subjects/{door.handle('guardian')}/looks"
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer guardian\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    told = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    got = len(await reader.read(1 << 14))
    in_between()
    try:
        while got < told and (piece := await reader.read(1 << 16)):
            got += len(piece)
    except ConnectionResetError:
        pass
    writer.close()
    return got, told


async def test_an_export_that_is_read_comes_whole_and_its_record_was_there_before_the_first_byte() -> None:
    durable = asyncio.Event()

    async def when(_: Look) -> None:
        await durable.wait()

    async with rig() as door:
        door.records.when_durable = when
        waiting = asyncio.create_task(exporting(door, lambda: None))
        while not door.services.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert not waiting.done()
        durable.set()
        got, told = await waiting
        assert got == told > 2_000_000
        assert (door.records.held, len(door.records.sent)) == ([], 1)


@pytest.mark.parametrize("cause", ["withdrawn", "one category withdrawn", "granted anew", "lease"])
async def test_an_export_is_broken_off_when_what_it_rests_on_ends_and_the_record_says_how_far_it_came(
    cause: str,
) -> None:
    async with rig() as door:

        def happens() -> None:
            if cause == "lease":
                door.world.end_lease()
            elif cause == "withdrawn":
                door.world.state(CHILD)
            else:
                door.world.state(CHILD, *_left(cause))

        got, told = await exporting(door, happens)
        [(record, reason)] = door.records.held
        sent, of = door.records.came[record]
        assert (record, reason, of) == (door.records.sent[0].id, "cut-off", told)
        assert got <= sent < told, "the record must not say less than the reader may have"
        assert sent < told / 2, "it went on although nothing was allowed any more"


def _left(cause: str) -> list[object]:
    if cause == "granted anew":
        return [grant("g9", f"person:{GUARDIAN}", ["looks", "school"])]
    return [grant("g1", f"person:{GUARDIAN}", ["looks"])]
