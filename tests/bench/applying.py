"""A new law table is applied to 100,000 subjects while others are read: the grants of each are others under it, and
then those of one in six."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import psutil

from chassis.storage import make_engine
from consent.handlers.preview import preview
from consent.handlers.tables import current_law
from tests.bench.report import Figure
from tests.bench.standing import progress
from tests.races import outages
from tests.races.fleet import direct
from tests.races.wire import now

SUBJECTS = 100_000
SHARE = 6
"""One in so many is between fifteen and eighteen, of those under eighteen: whom a change of their rows touches."""
WATCHED = 8
_IDLE = 1.5


def measure() -> Iterator[Figure]:
    """From the moment at which the table is another to the last confirmation."""
    yield from asyncio.run(_measured())


async def _measured() -> list[Figure]:
    async with outages.stand(WATCHED, progress) as stand:
        conn = await asyncpg.connect(direct(stand.fleet.site, "consent"))
        try:
            began = time.monotonic()
            await conn.execute("SET statement_timeout = 0")
            await conn.execute(_FILL.replace(":count", str(SUBJECTS)))
            await conn.execute("ANALYZE")
            progress(f"{SUBJECTS:,} families are there after {time.monotonic() - began:.0f} s")
            looked = await _previewed(direct(stand.fleet.site, "consent"))
            everybody = await _applied(stand, conn, SUBJECTS)
            await _quiet(stand, conn)
            await conn.execute(_EARLIER, SHARE)
            some = await _applied(stand, conn, SUBJECTS // (2 * SHARE))
        finally:
            await conn.close()
    name = f"a new law table, {SUBJECTS:,} subjects"
    figures = [Figure(f"{name}: previewed", looked, "s", "<= 60", "20")]
    for whose, told in (("all their grants change", everybody), (f"one in {SHARE} is touched", some)):
        figures += [
            Figure(f"{name}, {whose}: applied and confirmed", told["all_s"], "s", "<= 60", "20"),
            Figure(f"{name}, {whose}: others' reads refused meanwhile", told["refused"], "reads", "<= 0", "0"),
            Figure(f"{name}, {whose}: reads answered meanwhile", told["reads"], "reads", ">= 100", "500"),
        ]
    return figures


async def _previewed(url: str) -> float:
    """Seconds until it is known whom the table would touch."""
    engine, began = make_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=1), time.monotonic()
    async with engine.connect() as conn:
        counts = await preview(conn, current_law(), current_law(), datetime.now(UTC))
    await engine.dispose()
    progress(f"previewed: {counts}")
    return time.monotonic() - began


async def _applied(stand: outages.Stand, conn: "asyncpg.Connection[asyncpg.Record]", touched: int) -> dict[str, float]:
    before = await conn.fetchval("SELECT count(*) FROM grants WHERE ended IS NOT NULL")
    async with stand.readers(30.0):
        await asyncio.sleep(1.0)
        began, computed = now(), _computed(stand)
        await conn.execute("UPDATE leader SET law_generation = law_generation + 1")
        await conn.execute("SELECT pg_notify('consent_changed', '')")
        left = 1
        while left:
            await asyncio.sleep(0.5)
            left = await conn.fetchval(
                "SELECT count(*) FROM subject, leader WHERE subject.law_generation < leader.law_generation"
            )
            if int(now() - began) % 10 == 0:
                progress(f"{left:,} subjects left after {now() - began:.0f} s")
        while await conn.fetchval("SELECT count(*) FROM change WHERE state = 'pending'"):
            await asyncio.sleep(0.1)
        ended = now()
        each = {name: round(1_000 * (spent - computed[name]) / SUBJECTS, 3) for name, spent in _computed(stand).items()}
        await asyncio.sleep(1.0)
    progress(f"{sum(each.values()):.3f} ms of processor a subject: {each}")
    during = [one for one in stand.seen if began <= one.sent <= ended]
    changed = await conn.fetchval("SELECT count(*) FROM grants WHERE ended IS NOT NULL") - before
    assert changed >= touched, f"only {changed} grants became others"
    refused = sum(one.status != 200 for one in during)
    if refused:
        why = Counter((one.gateway, one.status, one.problem) for one in during if one.status != 200)
        progress(f"refused: {dict(why)}")
    return {"refused": float(refused), "reads": float(len(during) - refused), "all_s": ended - began}


def _computed(stand: outages.Stand) -> dict[str, float]:
    """Seconds of processor that each part has had, with the reads that go on beside."""
    found = {}
    for name, member in stand.fleet.members.items():
        if member.child is not None and member.child.code is None:
            process = psutil.Process(member.child.pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
            found[name] = sum(one.user + one.system for one in times)
    return found


async def _quiet(stand: outages.Stand, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Until nobody is busy any more with what came of the last table."""
    began, before = time.monotonic(), _computed(stand)
    while True:
        await asyncio.sleep(3.0)
        now_ = _computed(stand)
        waiting = await conn.fetchval("SELECT count(*) FROM outbox")
        due = await conn.fetchval("SELECT count(*) FROM subject WHERE due <= extract(epoch FROM now())")
        if not waiting and not due and sum(now_.values()) - sum(before.values()) < _IDLE:
            progress(f"quiet after {time.monotonic() - began:.0f} s more")
            return
        before = now_


_FILL = """
CREATE TEMP TABLE made AS
    SELECT gen_random_uuid() AS child, gen_random_uuid() AS mother, gen_random_uuid() AS father, now() AS at,
        gen_random_uuid() AS request, gen_random_uuid() AS change, (current_date - 60 - (random() * 6400)::int) AS born
    FROM generate_series(1, :count);
INSERT INTO person (id, names, birth_date, birth_source, language, created_at)
    SELECT child, ''::bytea, born, 'bench', 'nb', at FROM made
    UNION ALL SELECT mother, ''::bytea, '1985-01-01', 'bench', 'nb', at FROM made
    UNION ALL SELECT father, ''::bytea, '1984-01-01', 'bench', 'nb', at FROM made;
INSERT INTO subject (id, created_at, law_generation, due, as_of)
    SELECT child, at, (SELECT law_generation FROM leader), 4000000000, current_date FROM made;
INSERT INTO responsibility (subject, guardian, kind, source, sight, recorded_at)
    SELECT child, mother, 'felles', 'bench', true, at FROM made
    UNION ALL SELECT child, father, 'felles', 'bench', true, at FROM made;
INSERT INTO change (id, subject, version, kind, body, state, created_at, confirmed_at)
    SELECT change, child, 0, 'requested', '{}', 'confirmed', at, at FROM made;
INSERT INTO request (id, subject, asker, asked_by, level, purpose, why, until, change, created_at)
    SELECT request, child, 'bench', 'bench', 1, 'follow-up', ''::bytea, current_date + 300, change, at FROM made;
INSERT INTO request_cell (request, service, category, action, special)
    SELECT request, 'bench', category, 'read', category = 'health'
    FROM made, unnest(ARRAY['school', 'health']) AS category;
INSERT INTO request_guardian (request, guardian)
    SELECT request, mother FROM made UNION ALL SELECT request, father FROM made;
INSERT INTO answer (request, person, service, category, action, said, way, assurance, law_version, at)
    SELECT request, person, 'bench', category, 'read', 'yes', 'answer', 'high', 'old', at
    FROM made, unnest(ARRAY[child, mother, father]) AS person, unnest(ARRAY['school', 'health']) AS category;
INSERT INTO grants (id, subject, request, recipient, categories, actions, purpose, basis, begins, ends, excluded,
        granted_by, law_version, began)
    SELECT gen_random_uuid(), child, request, 'service:bench', ARRAY['school', 'health'], ARRAY['read'], 'follow-up',
        'b', 1, 4000000000, '{}', '[]', 'old', change
    FROM made;
DROP TABLE made
"""
"""So many families with a request that everybody has agreed to; the grants as an earlier table gave them: with an end
that today's does not give."""

_EARLIER = """
UPDATE grants SET ends = 4000000000
    WHERE ended IS NULL AND request IS NOT NULL AND abs(hashtext(subject::text)) % $1::int = 0
"""
"""One in so many has a grant again as an earlier table gave it; of the others gateways hold what today's gives."""
