"""The door of heartbeats: what is no gateway's, no heartbeat, of another time or about nothing opens nothing."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc.jwk import OctKey

from chassis import problems
from chassis.permit import HEADER, Actor, sign, signed_request
from consent.api import leases
from consent.handlers.leader import Leader
from consent.model.horizon import LEASE_SECONDS, Horizon
from tests.consent.callers import INNER, staff

P, Q = "consent.state.v1:0", "directory.state.v1:0"
EPOCH = 4
GATEWAY = Actor("gateway", "one", assurance="high")


class Session:
    """The lock's session: the database says that we lead."""

    async def fetchval(self, _query: str, _epoch: int) -> bool:
        return True


class Leading(Leader):
    """A leader without database and bus."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, nothing, nothing, nothing)

    def take(self) -> Horizon:
        """Lead from now on, with a barrier at 4 in both partitions."""
        made = Horizon(EPOCH, 0.0, 0.0, [P, Q], self._topics)
        for partition in (P, Q):
            made.wrote(partition, 4)
            self._topics.learn(partition, 4, 0.0)
            made.barrier(partition, 4, EPOCH)
        session: Any = Session()
        self._horizon, self._lock_conn = made, session
        return made

    async def address(self) -> str | None:
        return "http://another"


@dataclass
class Door:
    """Where gateways ask, and who answers."""

    leader: Leading
    horizon: Horizon
    client: httpx.AsyncClient

    async def beat(self, body: Any, actor: Actor = GATEWAY, key: bytes = INNER) -> httpx.Response:
        """One heartbeat, signed."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        token = sign(
            OctKey.import_key(key), audience="consent", method="POST", path="/inner/heartbeat", body=raw, actor=actor,
            subject=None, route="consent.heartbeat", permit=None, record=None, now=time.time(),
        )  # fmt: skip
        return await self.client.post("/inner/heartbeat", content=raw, headers={HEADER: token})

    async def lease(self, positions: dict[str, tuple[int, int]], incarnation: str = "one") -> float:
        """Seconds granted to whoever reports this."""
        answer = await self.beat({"incarnation": incarnation, "positions": positions})
        assert answer.status_code == 200, answer.text
        return float(answer.json()["lease"])


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    app, leader = FastAPI(), Leading()
    problems.install(app)
    app.include_router(leases(leader, signed_request(INNER, "consent", time.time)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://consent") as client:
        yield Door(leader, leader.take(), client)


FAR = {P: (EPOCH, 5), Q: (EPOCH, 5)}


async def test_a_gateway_that_is_far_enough_gets_a_lease(door: Door) -> None:
    assert await door.lease(FAR) == LEASE_SECONDS


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", {}, {"incarnation": "one"}, {"incarnation": 1, "positions": FAR},
        {"incarnation": "one", "positions": {P: [EPOCH]}}, {"incarnation": "one", "positions": {P: [EPOCH, "5"]}},
        {"incarnation": "one", "positions": FAR, "lease": 60},
    ],
    ids=repr,
)  # fmt: skip
async def test_what_is_no_heartbeat_is_told_so_and_gives_no_lease(door: Door, body: Any) -> None:
    answer = await door.beat(body)
    assert (answer.status_code, answer.json()["title"]) == (422, "This is not a heartbeat.")
    assert not door.horizon._gateways


async def test_nobody_but_a_gateway_with_the_key_gets_a_lease(door: Door) -> None:
    said = {"incarnation": "one", "positions": FAR}
    refused = await door.beat(said, actor=staff("school"))
    assert (refused.status_code, refused.json()["title"]) == (403, "Only gateways ask for leases.")
    assert (await door.beat(said, key=b"x" * 32)).status_code == 401
    assert (await door.client.post("/inner/heartbeat", json=said)).status_code == 401
    assert not door.horizon._gateways


async def test_a_replica_that_does_not_lead_says_who_does_and_remembers_nothing(door: Door) -> None:
    door.leader._horizon = None
    answer = await door.beat({"incarnation": "one", "positions": FAR})
    assert (answer.status_code, answer.json()) == (421, {"leader": "http://another"})
    assert not door.horizon._gateways


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1])
async def test_a_heartbeat_from_another_leadership_past_or_to_come_gives_no_lease(door: Door, epoch: int) -> None:
    assert await door.lease({P: (epoch, 9), Q: (epoch, 9)}) == 0.0


async def test_partitions_that_do_not_exist_count_for_nothing_and_are_not_kept(door: Door) -> None:
    strange = {f"consent.state.v1:{number}": (EPOCH, 9) for number in range(12, 40)}
    assert await door.lease(strange | {"": (EPOCH, 9)}) == 0.0
    assert await door.lease(strange | FAR) == LEASE_SECONDS
    assert set(door.horizon._gateways["one"].positions) == {P, Q}


async def test_a_late_heartbeat_of_an_incarnation_that_is_over_opens_nothing_for_the_next_one(door: Door) -> None:
    assert await door.lease(FAR, "before the restart") == LEASE_SECONDS
    assert await door.lease({P: (EPOCH, 2), Q: (0, 0)}, "after it") == 0.0
    assert await door.lease(FAR, "before the restart") == LEASE_SECONDS  # it was on its way for long
    assert await door.lease({P: (EPOCH, 2), Q: (0, 0)}, "after it") == 0.0
