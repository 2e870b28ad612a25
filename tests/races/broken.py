"""Our services with one rule taken out, started only by a race: `python -m tests.races.broken gateway second-check`.

Nothing in the product can do this: here a module's own function is put in place of the rule before it starts.

Not here, because no client could tell the difference: held-back reports (bytes that the kernel has taken are the
client's, so nobody sees when they left; tests/gateway/test_door_wire.py shows it), a lease counted from its receipt
(redundant beside the share of 0.7 and a heartbeat's one second), a gateway that starts again under its old name
(tried: while changes flow, what its earlier life reported is soon too old for a lease), fencing and versions (each
alone is enough), the compaction lag (an hour), the grace (for availability only).
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib import import_module
from runpy import run_module
from typing import Any

from consent.handlers.leader import Leader
from consent.model import horizon
from consent.storage import ChangeRow
from gateway.handlers import door
from gateway.handlers.answers import Answer, Asked
from gateway.handlers.projection import Projection
from gateway.handlers.records import KafkaRecords, Look
from gateway.model import lease
from gateway.model.decide import Decision, Refusal
from gateway.model.feeds import About, covers


def second_check() -> None:
    """The answer leaves as it was decided, whatever has changed since. The lease is still asked for."""

    def check(self: door.Door, answer: Answer) -> None:
        if answer.leased:
            self._require_lease()

    door.Door.check = check  # type: ignore[method-assign]


def any_permit() -> None:
    """The second check is content with a permit under whatever grant."""

    def allows(first: Decision, again: Decision) -> bool:
        return isinstance(again, Refusal) == isinstance(first, Refusal)

    door.still_allows = allows  # type: ignore[attr-defined]


def lease_check() -> None:
    """A gateway answers whether it holds a lease or not."""

    def holds(self: lease.Lease, now: float) -> bool:
        del self, now
        return True

    lease.Lease.holds = holds  # type: ignore[method-assign]
    lease.Lease.until = property(lambda self: float("inf"), lambda self, value: None)  # type: ignore[assignment]


def longer_lease() -> None:
    """A gateway counts more than it was granted."""
    lease.SHARE = 3.0


def position_first() -> None:
    """A position is reported before what lies there is applied."""
    apply = Projection.apply

    def late(self: Projection, topic: str, number: int, record: Any) -> None:
        self.lease.applied(f"{topic}:{number}", record.offset + 1)
        asyncio.get_running_loop().call_later(0.5, apply, self, topic, number, record)

    caught_up = False

    def applied(self: Projection, topic: str, number: int, record: Any) -> None:
        nonlocal caught_up
        caught_up = caught_up or self.holds_lease()  # barriers have to be applied, or there is no first lease
        (late if caught_up and topic.startswith("consent") and record.key != b"!barrier" else apply)(
            self, topic, number, record
        )

    Projection.apply = applied  # type: ignore[method-assign]


def wait_after_take_over() -> None:
    """A new leader does not wait for the leases of the one before."""
    made = horizon.Horizon.__init__

    def hasty(self: horizon.Horizon, epoch: int, taken: float, lease_max: float, partitions: Any, topics: Any) -> None:
        del lease_max
        made(self, epoch, taken, 0.0, partitions, topics)

    horizon.Horizon.__init__ = hasty  # type: ignore[method-assign]


def late_gateways() -> None:
    """A lease is given to a gateway whatever it has read."""

    def far_enough(self: horizon.Horizon, gateway: Any, partition: str, now: float) -> bool:
        del self, gateway, partition, now
        return True

    horizon.Horizon._far_enough = far_enough  # type: ignore[method-assign]


def confirmed_at_once() -> None:
    """A change is called confirmed as soon as it is written."""
    queries: Any = import_module("consent.storage.grants")
    made = queries._change

    def confirmed(row: Any) -> ChangeRow:
        found: ChangeRow = made(row)
        return replace(found, confirmed=True)

    queries._change = confirmed


def lock_check() -> None:
    """Who led once goes on granting leases without asking the database whether it still does."""

    async def leads(self: Leader) -> bool:
        return self._horizon is not None

    async def keep(self: Leader) -> None:
        """The lock's session is kept awake as ever: else it would be lost at once, and nobody would lead for long."""
        while True:
            await asyncio.sleep(0.5)
            with contextlib.suppress(Exception):
                if self._lock_conn is not None:
                    await self._lock_conn.fetchval("SELECT 1")

    Leader._still_leads = leads  # type: ignore[method-assign]
    Leader._keep_lock = keep  # type: ignore[method-assign]
    Leader._step_down = lambda self: None  # type: ignore[method-assign]


def record_awaited() -> None:
    """A look is handed to the bus, and nobody waits until it is there."""
    send = KafkaRecords.send
    kept: set[asyncio.Task[None]] = set()

    def done(task: asyncio.Task[None]) -> None:
        kept.discard(task)
        if not task.cancelled():
            task.exception()

    async def hasty(self: KafkaRecords, look: Look) -> Awaitable[None]:
        async def later() -> None:
            await (await send(self, look))

        task = asyncio.create_task(later())
        kept.add(task)
        task.add_done_callback(done)
        return asyncio.sleep(0)

    KafkaRecords.send = hasty  # type: ignore[method-assign]


def stream_once() -> None:
    """A stream is decided when it begins, and what was allowed then goes on. The lease is still asked for."""
    begun: dict[tuple[str | None, str], Decision] = {}
    own = door.Door.own

    async def beginning(self: door.Door, asked: Asked, body: bytes) -> Answer:
        subject = self._subject(asked) or ""
        begun[asked.actor.id, subject] = self._decided(self._question(asked, subject))
        return await own(self, asked, body)

    def may_know(self: door.Door, asked: Asked, about: About) -> bool:
        del self
        return covers(begun[asked.actor.id, about.subject], about)

    async def pointing(self: door.Door, asked: Asked, about: About, body: bytes) -> Answer | None:
        decision = begun[asked.actor.id, about.subject]
        if isinstance(decision, Refusal) or not covers(decision, about):
            return None
        question = replace(self._question(asked, about.subject), category=about.category)
        answer = await self._streamed(asked, question, decision, body)
        answer.parts = ()
        return answer

    door.Door.own, door.Door.may_know, door.Door.pointing = beginning, may_know, pointing  # type: ignore[method-assign]
    door.Door.check_standing = lambda self, asked: self._require_lease()  # type: ignore[method-assign]


RULES: Mapping[str, tuple[str, Callable[[], None]]] = {
    "second-check": ("gateway", second_check), "same-grant": ("gateway", any_permit),
    "lease-check": ("gateway", lease_check), "shorter-lease": ("gateway", longer_lease),
    "applied-before-reported": ("gateway", position_first), "record-awaited": ("gateway", record_awaited),
    "wait-after-take-over": ("consent", wait_after_take_over), "position-before-lease": ("consent", late_gateways),
    "told-when-confirmed": ("consent", confirmed_at_once), "lock-check": ("consent", lock_check),
    "stream-decided-again": ("gateway", stream_once),
}  # fmt: skip
"""Each rule, the service that has it, and how it is taken out."""


if __name__ == "__main__":
    service, rule = sys.argv[1], sys.argv[2]
    RULES[rule][1]()
    sys.argv = [service]
    run_module(service, run_name="__main__", alter_sys=True)
