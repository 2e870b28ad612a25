"""The witness: somebody elsewhere who signs our checkpoints too, after checking that the tree has only grown."""

import asyncio
import base64
import logging
import re

import aiohttp
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.causes import caused_by_a_part
from chassis.clock import Clock
from consent import storage
from consent.handlers import proofs
from consent.model import notes
from consent.model.notes import BadNote, Checkpoint, Key

_EVERY = 1.0
_LONGEST_WAIT = 60.0
_SECONDS = 5.0
_LARGEST_ANSWER = 16_384
_SIGNED, _CONFLICT = 200, 409
_SIZE = re.compile(rb"\A(0|[1-9][0-9]{0,15})\n?\Z")
_log = logging.getLogger(__name__)
_asked = Counter("samlogg_ledger_witness_total", "Answers of the witness", ["answer"])
_size = Gauge("samlogg_ledger_witnessed_size", "Records in the tree of the newest checkpoint that the witness signed")


class NotWitnessed(Exception):
    """The witness gave no signature of ours. Its text is a code."""


class Witness:
    """Sends the newest checkpoint to the witness once a second (C2SP tlog-witness) and keeps its signature.

    Every replica asks: whoever comes second is told the size that the witness has by now, and goes on from there. A
    witness that is away, or that refuses, holds up nothing; it shows in the metrics and in what readers are told.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock, url: str, key: Key) -> None:
        self._engine, self._clock, self._key = engine, clock, key
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._old: int | None = None

    async def run(self) -> None:
        """For ever."""
        wait = _EVERY
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                try:
                    await self.tick(session)
                    wait = _EVERY
                except (NotWitnessed, aiohttp.ClientError, TimeoutError, OSError, SQLAlchemyError) as error:
                    if isinstance(error, SQLAlchemyError) and not caused_by_a_part(error):
                        raise
                    reason = str(error) if isinstance(error, NotWitnessed) else type(error).__name__
                    _asked.labels(reason).inc()
                    _log.warning("the witness has not signed", extra={"reason": reason})
                    wait = min(wait * 2, _LONGEST_WAIT)
                await asyncio.sleep(wait)

    async def tick(self, session: aiohttp.ClientSession) -> bool:
        """Have the newest checkpoint signed; False when it was already. NotWitnessed and what the network causes."""
        async with self._engine.connect() as conn:
            newest, last = await storage.newest_checkpoint(conn), await storage.newest_cosigned(conn)
        known = 0 if last is None else last.size
        _size.set(known)
        if newest is None or (last is not None and newest.size == last.size):
            return False
        status, answer = await self._ask(session, newest, known if self._old is None else self._old)
        if status == _CONFLICT:  # it has another size than we thought: once more, from there
            self._old = _size_in(answer)
            status, answer = await self._ask(session, newest, self._old)
        await self._keep(newest, status, answer)
        return True

    async def _ask(self, session: aiohttp.ClientSession, newest: Checkpoint, old: int) -> tuple[int, bytes]:
        if old > newest.size:
            raise NotWitnessed("ahead")  # it has signed a larger tree than ours: another ledger, or an older database
        async with self._engine.connect() as conn:
            body = await request(conn, old, newest)
        async with session.post(self._url, data=body, allow_redirects=False) as found:
            return found.status, await found.content.read(_LARGEST_ANSWER)

    async def _keep(self, newest: Checkpoint, status: int, answer: bytes) -> None:
        if status != _SIGNED:
            raise NotWitnessed(f"status-{status}")
        try:
            note = notes.cosigned(newest.note, answer.decode("utf-8", "replace"), self._key)
        except BadNote as error:
            raise NotWitnessed("wrong-signature") from error
        async with self._engine.begin() as conn:
            await storage.keep_cosignature(conn, newest.size, note, self._clock.now())
        self._old = newest.size
        _size.set(newest.size)
        _asked.labels("signed").inc()


async def request(conn: AsyncConnection, old: int, newest: Checkpoint) -> bytes:
    """The body of `POST /add-checkpoint`: the size the witness has, the consistency proof, and the checkpoint."""
    proof = await proofs.consistency_proof(conn, old, newest.size)
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), "", newest.note]
    return "\n".join(lines).encode()


def _size_in(answer: bytes) -> int:
    found = _SIZE.match(answer)
    if found is None:
        raise NotWitnessed("conflict-without-size")
    return int(found.group(1))
