"""Changes of a subject's published state: recorded as pending, told as done only when they are confirmed."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4, uuid5

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import tracing
from chassis.clock import rfc3339
from chassis.events import Event
from chassis.lifespan import woken
from chassis.outbox import announce
from chassis.storage import raw_connection
from consent import messages, storage
from consent.model.errors import Unseen
from consent.model.otherwise import DIGITAL, Manner
from consent.storage import ChangeRow, SubjectRow

Status = Literal["confirmed", "pending"]

CONFIRMED = "consent_confirmed"
TRACE = "traceparent"
_EVENT_IDS = UUID("0d1c7a76-3f36-5a1e-8a3c-7f0b5c0f9d02")
_REASONS: Mapping[str, Literal["law", "date"]] = {"law": "law", "law-fact": "law", "day": "date"}
_OF_NOBODY = frozenset({"law", "day"})
"""Changes that no caller has asked for, and so none waits for: they come by the ten thousand."""
_POLL_SECONDS = 0.25
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def lock(conn: AsyncConnection, subject: str) -> SubjectRow:
    """The subject, locked until the transaction ends; Unseen when there is none."""
    found = await storage.lock_subject(conn, subject)
    if found is None:
        raise Unseen
    return found


def new_id() -> str:
    """An id for a change that is about to be recorded."""
    return str(uuid4())


async def status(conn: AsyncConnection, change: str | None) -> Status:
    """Does every gateway able to answer know of this change? Of none there is nothing to know."""
    found = [] if change is None else await storage.changes_by_id(conn, [change])
    return "confirmed" if all(one.confirmed for one in found) else "pending"


async def record(
    conn: AsyncConnection, id_: str, subject: str, kind: str, body: Mapping[str, Any], now: datetime
) -> int:
    """Raise the subject's version and write the change as pending; returns the version. The caller holds the lock.

    body: `request`, `began` and `ended` (grant ids), `opened` (requests that wait for others from now on), `noted` (who
    is told that something was registered for them), `service` (whose staff made an exception), and for a withdrawal
    `by`, `recipient`, `category`; for words that came otherwise than by a log-in `manner` and `given`.
    """
    version = await storage.raise_version(conn, subject)
    carried = {**body, TRACE: tracing.current()}  # the events come later, from the leader, and go on under this trace
    values = {"id": id_, "subject": subject, "version": version, "kind": kind, "body": carried, "created_at": now}
    await storage.add_change(conn, values)
    return version


async def confirmed(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Announce what these changes were, in the transaction that confirms them, and wake those who wait for it.

    rows: of the table `change`; only their ids are read.

    Event ids come from change and grant, so that a change confirmed twice is one event to every reader.
    """
    found = await storage.changes_by_id(conn, [str(row["id"]) for row in rows])
    ids = [id_ for change in found for id_ in (*change.body.get("began", ()), *change.body.get("ended", ()))]
    grants = await storage.grants_by_id(conn, ids) if ids else {}
    events = [event for change in found for event in _events(change, grants)]
    await announce(conn, storage.outbox, messages.EVENTS, *events)
    awaited = [change.id for change in found if change.kind not in _OF_NOBODY]
    if awaited:
        query = text("SELECT pg_notify(:channel, id) FROM unnest(CAST(:ids AS text[])) AS id")
        await conn.execute(query, {"channel": CONFIRMED, "ids": awaited})


def _events(change: ChangeRow, grants: Mapping[str, Mapping[str, Any]]) -> Iterator[Event]:
    if change.kind == "requested":
        body = change.body
        data = messages.ConsentRequested(
            request=body["request"], subject=change.subject, asker=body["asker"], asked=body["asked"]
        )
        yield _event(change, messages.REQUESTED, body["request"], data)
    for opened in change.body.get("opened", ()):
        again = messages.ConsentRequested(subject=change.subject, **opened)
        yield _event(change, messages.REQUESTED, again.request, again)
    for person in change.body.get("noted", ()):
        noted = messages.Registered(subject=change.subject, person=person)
        yield _event(change, messages.REGISTERED, person, noted)
    if "service" in change.body:
        made = messages.ExceptionMade(subject=change.subject, service=f"service:{change.body['service']}")
        yield _event(change, messages.EXCEPTION_MADE, change.id, made)
    if "tell" in change.body:
        told = messages.SightChanged(subject=change.subject, tell=change.body["tell"], version=change.version)
        yield _event(change, messages.SIGHT_CHANGED, change.id, told)
    for id_ in change.body.get("ended", ()):
        grant = grants[id_]
        ended = messages.ConsentWithdrawn(
            grant=id_, subject=change.subject, recipient=grant["recipient"], categories=grant["categories"],
            version=change.version, change=change.id, manner=change.body.get("manner", DIGITAL),
            reason=_REASONS.get(change.kind, "said"),
        )  # fmt: skip
        yield _event(change, messages.WITHDRAWN, id_, ended)
    for id_ in change.body.get("began", ()):
        grant = grants[id_]
        until = None if grant["ends"] is None else _moment(grant["ends"])
        began = messages.ConsentGranted(
            grant=id_, subject=change.subject, recipient=grant["recipient"], categories=grant["categories"],
            actions=grant["actions"], begins=_moment(grant["begins"]), until=until,
            version=change.version, manners=_manners(grant["granted_by"]),
        )  # fmt: skip
        yield _event(change, messages.GRANTED, id_, began)


def _manners(granted_by: Sequence[Mapping[str, Any]]) -> list[Manner]:
    """How the words came that a grant rests on: codes, of everybody together."""
    found: set[Manner] = set()
    for one in granted_by:
        found.update(one.get("manners", [DIGITAL]))
    return sorted(found)


def _event(change: ChangeRow, kind: str, thing: str, data: messages.Published) -> Event:
    id_ = str(uuid5(_EVENT_IDS, f"{change.id} {kind} {thing}"))
    body = data.model_dump(by_alias=True)
    carried = change.body.get(TRACE)
    return Event(id_, kind, messages.SOURCE, change.subject, change.created_at, body, change.version, carried)


def _moment(epoch: int) -> str:
    return rfc3339(datetime.fromtimestamp(epoch, UTC))


class Confirmations:
    """Waits for changes to be confirmed: woken by the database, and asking it now and then in case no word came."""

    def __init__(self, engine: AsyncEngine, url: str) -> None:
        self._engine = engine
        self._url = url
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Ask and listen for ever. Without the connection, asking goes on alone; either's error ends both."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask())
            group.create_task(self._hear())

    async def _hear(self) -> None:
        while True:
            with contextlib.suppress(*_AWAY):
                await self._listen()
            await asyncio.sleep(1.0)

    async def _ask(self) -> None:
        """When somebody comes, and now and then: one question for all who wait.

        Each of them asking would be most of what the database does, and where many wait there would be no connection
        left for what they wait for.
        """
        while True:
            await woken(self._came, _POLL_SECONDS)
            self._came.clear()
            with contextlib.suppress(*_AWAY, SQLAlchemyError):
                for change in await self._confirmed(list(self._waiting)):
                    self._wake(change)

    async def _listen(self) -> None:
        conn = await raw_connection(self._url)
        gone = asyncio.Event()
        try:
            conn.add_termination_listener(lambda _: gone.set())
            await conn.add_listener(CONFIRMED, self._told)
            await gone.wait()
        finally:
            conn.terminate()

    def _told(self, _connection: Any, _pid: int, _channel: str, change: Any) -> None:
        self._wake(str(change))

    def _wake(self, change: str) -> None:
        for event in self._waiting.get(change, ()):
            event.set()

    async def wait(self, change: str, seconds: float) -> None:
        """Until the change is confirmed, but no longer than this. What is told then is what the database says."""
        told = asyncio.Event()
        self._waiting.setdefault(change, set()).add(told)
        self._came.set()
        try:
            await woken(told, seconds)
        finally:
            waiting = self._waiting[change]
            waiting.discard(told)
            if not waiting:
                del self._waiting[change]

    async def _confirmed(self, changes: Sequence[str]) -> list[str]:
        """Those of them that are confirmed."""
        if not changes:
            return []
        async with self._engine.connect() as conn:
            return [found.id for found in await storage.changes_by_id(conn, changes) if found.confirmed]
