"""When a change is confirmed: everybody able to answer has passed its record on the state topic."""

import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from directory import storage
from directory.messages import STATE_TOPIC, HorizonPassed

_FIRST_WAIT = 0.02
_LONGEST_WAIT = 0.2


async def horizon_passed(conn: AsyncConnection, event: HorizonPassed, topic: str = STATE_TOPIC) -> int:
    """Confirm what the horizon has passed; how many entries that were. Other topics are not ours."""
    if event.topic != topic or event.partition != 0:
        return 0
    return await storage.move_horizon(conn, topic, event.position)


async def confirmed(conn: AsyncConnection, kind: str, id_: str) -> bool:
    """Is the newest version of this entry known to everybody able to answer?"""
    table = storage.entity
    newest = select(table.c.confirmed >= table.c.version).where(table.c.kind == kind, table.c.id == id_)
    return bool(await conn.scalar(newest))


async def district_confirmed(conn: AsyncConnection, district: str) -> bool:
    """The same of everything that a district keeps."""
    table = storage.entity
    waiting = select(table.c.id).where(table.c.district == district, table.c.confirmed < table.c.version).limit(1)
    return await conn.scalar(waiting) is None


async def wait_confirmed(engine: AsyncEngine, kind: str, id_: str, seconds: float) -> bool:
    """Ask the database until the entry is confirmed or the time is over: any replica may have learnt of it."""
    end, wait = asyncio.get_running_loop().time() + seconds, _FIRST_WAIT
    while True:
        async with engine.connect() as conn:
            done = await (district_confirmed(conn, id_) if kind == "district" else confirmed(conn, kind, id_))
        left = end - asyncio.get_running_loop().time()
        if done or left <= 0:
            return done
        await asyncio.sleep(min(wait, left))
        wait = min(wait * 2, _LONGEST_WAIT)
