"""Which faults a race has: the mixture by default, kills alone, and for each broken rule those that bring it out."""

import asyncio
from collections.abc import Mapping, Sequence

from tests.races.faults import Faults, Lane, kills_of, networks, processes
from tests.races.fleet import CONSENTS, GATEWAYS


async def slow_logbook(faults: Faults) -> None:
    """The log answers late: between first and second check there is time for a withdrawal."""
    while not faults.stopping:
        async with faults.link(f"{faults.chance.choice(GATEWAYS)}>logbook", "slow", faults.chance.uniform(0.1, 0.5)):
            await faults.pause(1.0, 3.0)


async def late_news(faults: Faults) -> None:
    """A gateway hears no news for longer than its lease, while all else goes on."""
    while not faults.stopping:
        async with faults.link(f"{faults.chance.choice(GATEWAYS)}>kafka", "deaf"):
            await faults.pause(7.0, 9.0)
        await faults.pause(0.5, 1.0)


async def take_over(faults: Faults) -> None:
    """The leader is killed while a gateway that it gave a lease hears no news."""
    while not faults.stopping:
        async with faults.link(f"{faults.chance.choice(GATEWAYS)}>kafka", "deaf"):
            await asyncio.sleep(0.2)
            await faults.kill(await faults.leader())
            await asyncio.sleep(3.0)
        await faults.pause(1.0, 2.0)


async def stopped_and_late(faults: Faults) -> None:
    """A gateway sleeps for longer than its lease, and hears no news for a while when it wakes."""
    while not faults.stopping:
        name = faults.chance.choice(GATEWAYS)
        async with faults.link(f"{name}>kafka", "deaf"):
            await faults.stop(name, 6.5)
            await asyncio.sleep(4.0)
        await faults.pause(0.5, 1.0)


async def old_leader(faults: Faults) -> None:
    """The leader sleeps, another takes over, and the old one wakes: a gateway without news reaches it alone."""
    while not faults.stopping:
        name, leader = faults.chance.choice(GATEWAYS), await faults.leader()
        other = next(one for one in CONSENTS if one != leader)
        async with faults.link(f"{name}>kafka", "deaf"), faults.link(f"{name}>{other}", "cut"):
            await faults.stop(leader, 5.0)
            await asyncio.sleep(9.0)
        await faults.restart(leader)
        await faults.pause(0.5, 1.0)


async def records_stuck(faults: Faults) -> None:
    """Nothing leaves a gateway for the broker, and then it is killed."""
    while not faults.stopping:
        name = faults.chance.choice(GATEWAYS)
        async with faults.link(f"{name}>kafka", "hang"):
            await asyncio.sleep(1.5)
            await asyncio.to_thread(faults.fleet.kill, name)
        await faults.kill(name)
        await faults.pause(0.5, 1.0)


async def short(faults: Faults) -> None:
    """One of each that ends soon: for a race of a few seconds. First one under which withdrawals are confirmed."""
    while not faults.stopping:
        async with faults.link(f"{faults.chance.choice(GATEWAYS)}>logbook", "slow", 0.2):
            await faults.pause(2.0, 2.5)
        async with faults.link(f"{faults.chance.choice(GATEWAYS)}>kafka", "deaf"):
            await faults.pause(0.5, 1.0)
        await faults.stop(faults.chance.choice(GATEWAYS), 1.5)
        await faults.kill(await faults.leader())
        await faults.stop("kafka", 0.7)
        await faults.trouble_on(f"{await faults.leader()}>postgres", "cut")
        await faults.kill(faults.chance.choice(GATEWAYS))


PLANS: Mapping[str, Sequence[Lane]] = {
    "mixture": (processes, networks), "short": (short,), "none": (),
    "kills": (kills_of(*GATEWAYS), kills_of(*CONSENTS, *CONSENTS, "postgres", "kafka")),
    "second-check": (slow_logbook,), "same-grant": (slow_logbook,), "lease-check": (late_news,),
    "shorter-lease": (late_news,), "applied-before-reported": (slow_logbook,), "record-awaited": (records_stuck,),
    "wait-after-take-over": (take_over,), "position-before-lease": (stopped_and_late,),
    "told-when-confirmed": (late_news,), "lock-check": (old_leader,), "stream-decided-again": (),
}  # fmt: skip
"""By the plan's name, or the broken rule's."""
