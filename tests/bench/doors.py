"""What is measured at the gateway's door: on the stack of `make demo`, with gateways of APART beside, with three."""

import asyncio
from collections.abc import Iterator

from tests.bench import reading, same_answer, withdrawing
from tests.bench.report import Figure
from tests.bench.standing import another, beginning, close, whole


def measure() -> Iterator[Figure]:
    """Reads, what deciding and recording cost of them, refusals, and withdrawals."""
    with whole() as standing:

        async def prepare() -> tuple[str, str, str]:
            first = await beginning(standing)
            path, token = await reading.prepared(standing, first)
            second = another(first, standing)
            known = await same_answer.prepared(second)
            await close(first)
            return path, token, known

        path, token, known = asyncio.run(prepare())
        yield from reading.rates(standing, path, token)
        yield from same_answer.measure(standing, known, token)
        standing.supervisor.check()

    with whole(bare=True) as standing:

        async def read() -> tuple[str, str]:
            first = await beginning(standing)
            try:
                return await reading.prepared(standing, first)
            finally:
                await close(first)

        yield from reading.shares(standing, *asyncio.run(read()))
        standing.supervisor.check()

    with whole(["gateway-3"]) as standing:  # those of APART would have to confirm too

        async def withdraw() -> list[float]:
            first = await beginning(standing)
            try:
                return await withdrawing.withdrawals(first, standing)
            finally:
                await close(first)

        yield from withdrawing.figures(asyncio.run(withdraw()))
        standing.supervisor.check()
