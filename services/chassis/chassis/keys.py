"""One data key per subject, wrapped and kept in a database of its own; without it, what it sealed is unreadable."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from sqlalchemy import Column, DateTime, LargeBinary, MetaData, String, Table, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

_NONCE = 12
_MAKING_LOCK = 7_264_003
_CACHED = 2_000
_CACHE_SECONDS = 30.0

metadata = MetaData()
subject_key = Table(
    "subject_key", metadata,
    Column("subject", String(64), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)  # fmt: skip


class KeyGone(Exception):
    """The subject's key was destroyed: what it sealed can no longer be read."""


class SubjectKeys:
    """Seals and opens short texts with the subject's own key (AES-256-GCM).

    engine: the keys database. wrapping: the key-encryption key, 32 bytes. An unwrapped key is held for at most 30 s.
    """

    def __init__(self, engine: AsyncEngine, wrapping: bytes) -> None:
        self._engine = engine
        self._wrapping = wrapping
        self._held: OrderedDict[str, tuple[float, AESGCM]] = OrderedDict()

    async def prepare(self) -> None:
        """Make the table where it is missing. Replicas that start together wait for one another."""
        async with self._engine.begin() as conn:
            await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING_LOCK})
            await conn.run_sync(metadata.create_all)

    async def seal(self, subject: str, value: str, place: str = "") -> bytes:
        """Sealed bytes. `place` (table and column) is bound to them, so a value cannot be moved elsewhere."""
        key = await self._key(subject, make=True)
        nonce = os.urandom(_NONCE)
        return nonce + key.encrypt(nonce, value.encode(), f"{subject}\0{place}".encode())

    async def open(self, subject: str, sealed: bytes, place: str = "") -> str:
        """The text; KeyGone when the key was destroyed or the bytes belong elsewhere."""
        return (await self.opener(subject))(sealed, place)

    async def opener(self, subject: str) -> Callable[[bytes, str], str]:
        """What `open` does, as a plain function of sealed bytes and place, for many texts at once. Not to be kept."""
        key = await self._key(subject, make=False)

        def opened(sealed: bytes, place: str) -> str:
            try:
                return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], f"{subject}\0{place}".encode()).decode()
            except InvalidTag as error:
                raise KeyGone from error

        return opened

    async def destroy(self, subject: str) -> None:
        """Destroy the key. Other replicas forget it within 30 s."""
        async with self._engine.begin() as conn:
            await conn.execute(delete(subject_key).where(subject_key.c.subject == subject))
        self._held.pop(subject, None)

    async def _key(self, subject: str, *, make: bool) -> AESGCM:
        found = self._held.get(subject)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        key = AESGCM(aes_key_unwrap(self._wrapping, await self._wrapped(subject, make=make)))
        self._held[subject] = (time.monotonic() + _CACHE_SECONDS, key)
        self._held.move_to_end(subject)
        if len(self._held) > _CACHED:
            self._held.popitem(last=False)
        return key

    async def _wrapped(self, subject: str, *, make: bool) -> bytes:
        asked = select(subject_key.c.wrapped).where(subject_key.c.subject == subject)
        async with self._engine.begin() as conn:
            row = (await conn.execute(asked)).first()
            if row is None and make:
                fresh = aes_key_wrap(self._wrapping, AESGCM.generate_key(256))
                await conn.execute(insert(subject_key).values(subject=subject, wrapped=fresh).on_conflict_do_nothing())
                row = (await conn.execute(asked)).first()
        if row is None:
            raise KeyGone
        return bytes(row.wrapped)
