"""Live streams as server-sent events: each message is an answer of its own, and leaves by the rules of one."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import Response
from starlette.types import Receive, Scope

from chassis.problems import Problem
from chassis.routes import EXTRA, route
from gateway.api.callers import Identify
from gateway.api.wire import Handed, UvicornWire, hand_on
from gateway.handlers.answers import EVENTS, Asked, Changed
from gateway.handlers.door import Door
from gateway.handlers.streams import Stream, Streams
from gateway.model.lease import Lease
from gateway.model.streams import HEARTBEAT, Change

PATH = "/subjects/{subject}/stream"
_DATA = route(action="read", record=True)
ROUTE: dict[str, Any] = {"id": "gateway.stream", "service": "gateway", "method": "GET", "path": PATH, **_DATA[EXTRA]}
"""The gateway's own entry in the route table."""

BEAT_SECONDS = 5.0
"""The longest silence of a stream, and how long a log-out at another gateway may leave it open."""


class Streaming:
    """Writes streams that have begun, until they are over. `still`: who the request's credentials mean now."""

    def __init__(
        self, *, streams: Streams, door: Door, lease: Lease, still: Identify, beat: float = BEAT_SECONDS
    ) -> None:
        self._streams, self._door, self._lease, self._still, self._beat = streams, door, lease, still, beat
        self.entered = streams.entered

    async def go_on(self, scope: Scope, receive: Receive, wire: UvicornWire, stream: Stream) -> None:
        """Say what there is to say until the stream is over; then close: cleanly, if all that was said has left."""
        wire.narrow()
        wire.at_shutdown = lambda: stream.end("gateway-ends")
        leaving = asyncio.create_task(_left(receive, stream))
        try:
            await self._say_all(scope, wire, stream)
        except Changed as changed:
            stream.end(changed.reason)
        except Problem as problem:
            stream.end(problem.slug)
        finally:
            stream.end("internal")  # unless it was over before
            leaving.cancel()
            wire.at_shutdown = None
            if wire.empty() and not wire.gone():
                wire.finish()
            else:
                wire.abort()

    async def _say_all(self, scope: Scope, wire: UvicornWire, stream: Stream) -> None:
        """Heartbeats come at their own times, whatever happens that is not told here."""
        loop = asyncio.get_running_loop()
        beat = loop.time() + self._beat
        while True:
            change = await stream.next(beat)
            if stream.over is not None:
                return
            stream.asked = await self._asked_now(scope, stream.asked)
            if change is not None:
                handed = await self._say(wire, stream, change)
            else:
                handed = await hand_on(wire, HEARTBEAT, lambda: self._door.check_standing(stream.asked), self._lease)
                beat = loop.time() + self._beat
            if handed is not Handed.WHOLE:
                stream.end("too-slow")

    async def _asked_now(self, scope: Scope, asked: Asked) -> Asked:
        """The same request by whom its credentials mean now. Problem or Changed when they mean nobody or another."""
        caller = await self._still(scope)
        if caller is None or (caller.actor.kind, caller.actor.id, caller.audience) != (
            asked.actor.kind, asked.actor.id, asked.audience,
        ):  # fmt: skip
            raise Changed("somebody-else")
        return replace(asked, actor=caller.actor)

    async def _say(self, wire: UvicornWire, stream: Stream, change: Change) -> Handed:
        """One message: decided, recorded, and decided again in the step that writes it; started over once."""
        for attempt in (1, 2):
            answer = await self._streams.message(stream, change)
            if answer is None:
                return Handed.WHOLE
            try:
                handed = await hand_on(wire, answer.body, partial(self._door.check, answer), self._lease, answer.wrote)
            except Changed as changed:
                self._door.hold_back(answer, changed.reason)
                if attempt == 2 or changed.reason == "freshness-unknown":
                    raise
            except BaseException:
                self._door.hold_back(answer, "internal")
                raise
            else:
                if handed is not Handed.WHOLE:
                    self._door.hold_back(answer, "cut-off" if handed is Handed.BROKEN else "nobody-there")
                return handed
        raise AssertionError("two attempts")


async def _left(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end("reader-left")


def described() -> APIRouter:
    """The route for the gateway's contract. It is served by the HTTP door, where the last step can be checked."""
    router = APIRouter(tags=["streams"])

    @router.get(
        PATH, operation_id="stream", name="stream", openapi_extra=_DATA, response_class=Response,
        responses={200: {"description": "Messages as they come", "content": {EVENTS: {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def stream(subject: str, last_event_id: Annotated[str | None, Header()] = None) -> Response:  # noqa: ARG001
        """Live: a message for each thing that happens in the log, as server-sent events.

        `changed` says where to look: `kind`, `item`, `category` (both null: the log itself) and `href`; nothing of what
        it says. It comes only for categories that the reader may read. `missed`: too much happened since Last-Event-ID;
        read the list anew. The stream ends when the login, the last grant or the gateway's lease does; come back with
        Last-Event-ID. Ids are for this reader alone. At most 20 at once for a reader (429).
        """
        raise AssertionError("served by the HTTP door")

    return router
