"""Live streams: who listens at this gateway, what each of them is told, and when one of them is over."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import prometheus_client
from aiokafka.partitioner import murmur2

from chassis.problems import Problem, unavailable
from gateway.handlers.answers import Answer, Asked, Changed
from gateway.handlers.door import Door
from gateway.messages import DIRECTORY
from gateway.model import streams as model
from gateway.model.handles import Handles
from gateway.model.lease import Lease
from gateway.model.streams import Change, Place, Recent

STREAMS_AT_ONCE = 500
STREAMS_PER_READER = 20
WAITING_AT_MOST = 100
"""Messages of one stream that wait to be said; who is further behind is cut off, and goes on from the last one."""
LOOK_SECONDS = 0.02
"""How often the lease is looked at: streams end well within 100 ms of its end."""

_open = prometheus_client.Gauge("samlogg_streams_open", "Live streams that are open")
_ended = prometheus_client.Counter("samlogg_streams_ended", "Live streams that ended, by reason", ["reason"])


class Stream:
    """One reader's stream about one subject: what waits to be said, and whether it is over."""

    def __init__(self, asked: Asked, subject: str | None, seen: Place, waiting: Iterable[Change], begin: bytes) -> None:
        self.asked, self.subject, self.begin = asked, subject, begin
        self.over: str | None = None
        self._seen, self._waiting = seen, deque(waiting)
        self._woken = asyncio.Event()

    def offer(self, change: Change) -> None:
        """To be said when its turn comes; what was said before the reader came back is not said again."""
        if change.place.offset <= self._seen.offset:
            return
        if len(self._waiting) >= WAITING_AT_MOST:
            self.end("behind")
            return
        self._waiting.append(change)
        self._woken.set()

    def end(self, reason: str) -> None:
        """It is over. The first reason counts; whoever writes it is woken."""
        self.over = self.over or reason
        self._woken.set()

    async def next(self, until: float) -> Change | None:
        """The next to be said; None when there is none by `until` (the loop's time), or the stream is over."""
        try:
            async with asyncio.timeout_at(until):
                while not self._waiting and self.over is None:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return None
        return self._waiting.popleft() if self.over is None else None


class Streams:
    """All that are open here. Everything but `watch_lease` is synchronous, and runs in the door's event loop."""

    def __init__(self, *, door: Door, handles: Handles, lease: Lease, lease_now: Callable[[], float]) -> None:
        self._door, self._handles, self._lease, self._lease_now = door, handles, lease, lease_now
        self._recent = Recent()
        self._partitions = 0
        self._of_subject: dict[str | None, set[Stream]] = {}
        self._of_reader: Counter[tuple[str, str | None]] = Counter()
        self._all: set[Stream] = set()
        self._looking = False

    # -- opened and closed by the door -------------------------------------------------------------------------------

    @contextmanager
    def entered(self, asked: Asked, last: str | None) -> Iterator[Stream]:
        """A stream that from now on hears what happens. `last`: the id of the last message that the reader has.

        Nothing is said on it before `Door.own` has allowed it. Problem 429 when this reader has too many, 503 when
        this gateway has, or has not read the newest changes yet.
        """
        who = (asked.actor.kind, asked.actor.id)
        if self._of_reader[who] >= STREAMS_PER_READER:
            raise Problem(429, "too-many-streams", "You have too many streams open.", headers={"Retry-After": "5"})
        if len(self._all) >= STREAMS_AT_ONCE or not self._partitions:
            raise unavailable("streams-full", "No more streams can be opened here now. Try again.", 5)
        stream = self._stream(asked, last)
        self._all.add(stream)
        self._of_subject.setdefault(stream.subject, set()).add(stream)
        self._of_reader[who] += 1
        _open.set(len(self._all))
        try:
            yield stream
        finally:
            self._leave(stream, who)

    def _leave(self, stream: Stream, who: tuple[str, str | None]) -> None:
        self._all.discard(stream)
        same = self._of_subject[stream.subject]
        same.discard(stream)
        if not same:
            del self._of_subject[stream.subject]
        self._of_reader[who] -= 1
        if not self._of_reader[who]:
            del self._of_reader[who]
        _open.set(len(self._all))
        _ended.labels(stream.over or "not-opened").inc()

    def _stream(self, asked: Asked, last: str | None) -> Stream:
        handle = asked.match.parameters["subject"]
        subject = self._handles.subject_of(asked.audience, handle)
        place = self._recent.here((murmur2((subject or handle).encode()) & 0x7FFFFFFF) % self._partitions)
        since: list[Change] | None = []
        if last and subject is not None:
            known = self._handles.subject_of(asked.audience, last, "place")
            told = None if known is None else Place.of_id(known)
            since = None
            if told is not None and told.partition == place.partition:
                since = self._recent.since(subject, told)
                place = told if since is not None else place
        begin = model.opening(self._sealed(asked, place), missed=since is None)
        return Stream(asked, subject, place, since or (), begin)

    def _sealed(self, asked: Asked, place: Place) -> str:
        return self._handles.to_handle(asked.audience, place.as_id(), "place")

    async def message(self, stream: Stream, change: Change) -> Answer | None:
        """What this reader is told of it, decided and recorded; None when that is nothing."""
        asked = stream.asked
        handle = asked.match.parameters["subject"]
        body = model.message(change, self._sealed(asked, change.place), handle)
        return await self._door.pointing(asked, change.about(), body)

    # -- what happens ------------------------------------------------------------------------------------------------

    def reading(self, begins: dict[int, int]) -> None:
        """The changes are read from these offsets on, by partition."""
        for partition, offset in begins.items():
            self._recent.begin(partition, offset)

    def caught_up(self) -> None:
        """What had happened before this gateway started is read: streams may be opened, and hear only what is new."""
        self._partitions = self._recent.partitions()

    def heard(self, place: Place, change: Change | None) -> None:
        """Something lay at this place on the bus; `change` None: nothing that is told.

        Who may not know of it is not woken by it: a reader must not be able to time what is hidden from them. Without a
        lease that is not certain: a grant that they were told of may not have been read here. They come back for it.
        """
        self._recent.passed(place)
        if change is None or not self._recent.add(change):
            return
        leased = self._lease.holds(self._lease_now())
        for stream in self._of_subject.get(change.subject, ()):
            if not leased:
                stream.end("freshness-unknown")
            elif self._door.may_know(stream.asked, change.about()):
                stream.offer(change)

    def changed(self, topic: str, key: str) -> None:
        """A state record was applied: whoever may not go on is cut off, in this very step for a subject's own state.

        What the directory says may concern anybody; all are looked at once for everything applied in this turn.
        """
        if topic != DIRECTORY:
            self._look(self._of_subject.get(key, ()))
        elif self._all and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look_at_all)

    def _look_at_all(self) -> None:
        self._looking = False
        self._look(self._all)

    def _look(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            try:
                self._door.check_standing(stream.asked)
            except Changed as changed:
                stream.end(changed.reason)

    async def watch_lease(self) -> None:
        """For ever: end every stream when the lease ends. No chunk depends on it: each looks at the lease itself."""
        while True:
            if self._all and not self._lease.holds(self._lease_now()):
                for stream in self._all:
                    stream.end("freshness-unknown")
            await asyncio.sleep(LOOK_SECONDS)
