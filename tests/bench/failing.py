"""How the system fails closed and comes back: two replicas of consent, three gateways, one part away at a time."""

import asyncio
import statistics
from collections.abc import Iterator

from tests.bench.report import Figure
from tests.bench.standing import progress
from tests.races import outages

MINUTE = 60.0
SUBJECTS = 24
BULK = 10_000
WITHDRAWALS = 120
READS = 200.0


def measure() -> Iterator[Figure]:
    """Every outage on one stack, one after another."""
    yield from asyncio.run(_measured())


async def _measured() -> list[Figure]:
    found: list[Figure] = []
    async with outages.stand(SUBJECTS, progress) as stand:
        taken = sorted(await outages.under_load(stand, READS, WITHDRAWALS))
        told = f"withdrawal to confirmation, 3 gateways, {READS:.0f} reads/s running"
        found.append(Figure(f"{told}, p50", statistics.median(taken), "ms", "<= 80", "30"))
        found.append(Figure(f"{told}, p99", taken[len(taken) * 99 // 100], "ms", "<= 250", "100"))
        one = await outages.a_gateway_is_paused(stand)
        found.append(Figure("the same with one gateway paused", one["told_s"], "s", "<= 5.5", "5.5"))
        progress("300 clients of one gateway take nothing of what they ask for")
        one = await outages.readers_are_slow(stand, 300)
        found.append(Figure("300 slow readers: reads of others not answered", one["refused"], "reads", "<= 0", "0"))
        found.append(Figure("300 slow readers: longest withdrawal meanwhile", one["told_ms"], "ms", "<= 5500", "250"))
        progress("consent is paused")
        one = await outages.consent_is_paused(stand)
        found.append(
            Figure("consent paused: the latest answer after the lease's end", one["late_ms"], "ms", "<= 100", "20")
        )
        told = "consent paused: the latest end of a live stream after the lease's end"
        found.append(Figure(told, one["stream_late_ms"], "ms", "<= 100", "20"))
        found.append(Figure("consent paused: refused from 100 ms after it", one["refused"], "share", ">= 1", "1"))
        found.append(Figure("consent paused: answered before it", one["answered"], "share", ">= 1", "1"))
        found.append(Figure("consent continued: until all answer again", one["back_s"], "s", "<= 2", "1"))
        progress("consent is killed")
        one = await outages.consent_is_killed(stand)
        found.append(Figure("consent started again: until all answer again", one["back_s"], "s", "<= 2", "1"))
        progress("the leader is paused for a minute")
        one = await outages.the_leader_is_paused(stand, MINUTE)
        found.append(
            Figure("leader paused: a withdrawal asked for then is confirmed", one["told_s"], "s", "<= 10", "8")
        )
        found.append(
            Figure("leader paused: stale answers, then and when it woke", one["stale"], "answers", "<= 0", "0")
        )
        found.append(Figure("leader awake again: who leads", one["leaders"], "replicas", "<= 1", "1"))
        found.append(Figure("leader awake again: reads not answered", one["refused"], "share", "<= 0", "0"))
        progress(f"{BULK} subjects change at once")
        one = await outages.ten_thousand_change_at_once(stand, BULK)
        found.append(Figure(f"{BULK} subjects change: others' reads refused", one["refused"], "reads", "<= 0", "0"))
        found.append(Figure(f"{BULK} subjects change: until all are confirmed", one["all_s"], "s", "<= 300", "60"))
        progress("the broker is away for a minute")
        one = await outages.the_broker_is_away(stand, MINUTE)
        found.append(Figure("broker away: reads answered", one["answered"], "reads", "<= 0", "0"))
        found.append(Figure("broker back: until the last withdrawal is confirmed", one["told_s"], "s", "<= 15", "8"))
        found.append(Figure("broker back: until all answer again", one["back_s"], "s", "<= 15", "8"))
    return found
