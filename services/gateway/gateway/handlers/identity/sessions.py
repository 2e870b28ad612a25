"""Sessions in the gateway's database: a random cookie, of which only a keyed hash is kept."""

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.problems import Problem, unavailable
from gateway import storage
from gateway.handlers.identity.callers import not_logged_in
from gateway.storage import SessionRow

SECRET_BYTES = 32
IDLE = timedelta(minutes=30)
"""A session that is not used for this long has ended (ID-porten's own is as long)."""
LONGEST = timedelta(hours=8)
"""No session lives longer, however much it is used."""
REMEMBERED_SECONDS = 1.0
"""How long a session that another replica may have ended is still taken for alive."""
_SEEN_EVERY = timedelta(minutes=1)
_MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    row: SessionRow
    until: float


class Sessions:
    """Starts, finds and ends sessions. `now` is Unix time, `ticks` a monotonic clock."""

    def __init__(
        self, engine: AsyncEngine, key: bytes, now: Callable[[], float], ticks: Callable[[], float] = time.monotonic,
        *, remembered: float = REMEMBERED_SECONDS,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")  # one statement: no BEGIN, no COMMIT
        self._key = key
        self._now = now
        self._ticks = ticks
        self._seconds = remembered
        self._remembered: dict[bytes, _Remembered] = {}

    def hashed(self, purpose: str, value: str) -> bytes:
        """A keyed hash, another one for each purpose: what is in the database opens nothing."""
        return hmac.new(self._key, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()

    def csrf(self, cookie: str) -> str:
        """The synchroniser token of this session: only who may read our answers can know it."""
        return urlsafe_b64encode(self.hashed("csrf", cookie)).rstrip(b"=").decode()

    async def start(
        self, *, kind: str, person: str | None, login: str | None, assurance: str, instead_of: str | None
    ) -> str:
        """A new session; its cookie value. The one that the browser had before ends, and what is over is swept out."""
        cookie = secrets.token_urlsafe(SECRET_BYTES)
        now = self._moment()
        made = SessionRow(kind, person, login, assurance, now, now, now + LONGEST)
        try:
            async with self._engine.begin() as conn:
                if instead_of is not None:
                    await storage.end_session(conn, self.hashed("session", instead_of))
                await storage.add_session(conn, self.hashed("session", cookie), made)
                await storage.sweep(conn, now=now, seen_before=now - IDLE)
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error
        if instead_of is not None:
            self._remembered.pop(self.hashed("session", instead_of), None)
        return cookie

    async def find(self, cookie: str, *, used: bool = True) -> SessionRow:
        """The living session of this cookie. Problem 401 `session-ended` without one.

        used: somebody does something with it now, so that it has not been idle.
        """
        hashed = self.hashed("session", cookie)
        known = self._remembered.get(hashed)
        if known is None or self._ticks() >= known.until:
            row = await self._read(hashed)
            if row is None:
                self._remembered.pop(hashed, None)
                raise ended()
            known = self._remember(hashed, row)
        now = self._moment()
        if now >= known.row.ends_at or now >= known.row.seen_at + IDLE:
            raise ended()
        if used and now >= known.row.seen_at + _SEEN_EVERY:
            await self._see(hashed, now)
        return known.row

    async def end(self, cookie: str) -> None:
        """End the session everywhere: here at once, at another replica when it next asks."""
        hashed = self.hashed("session", cookie)
        try:
            async with self._engine.begin() as conn:
                await storage.end_session(conn, hashed)
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error
        self._remembered.pop(hashed, None)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    def _remember(self, hashed: bytes, row: SessionRow) -> _Remembered:
        known = _Remembered(row, self._ticks() + self._seconds)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        if self._seconds > 0:
            self._remembered[hashed] = known
        return known

    async def _read(self, hashed: bytes) -> SessionRow | None:
        try:
            async with self._reading.connect() as conn:
                return await storage.find_session(conn, hashed)
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error

    async def _see(self, hashed: bytes, now: datetime) -> None:
        try:
            async with self._engine.begin() as conn:
                await storage.see_session(conn, hashed, now)
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error
        self._remembered.pop(hashed, None)


def ended() -> Problem:
    """401 for a cookie without a session that lives."""
    return not_logged_in("session-ended", "The session has ended; log in again.")


def no_database() -> Problem:
    """503 while sessions cannot be read or written."""
    return unavailable("sessions-unavailable", "Logins and sessions cannot be served now.")
