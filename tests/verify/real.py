"""The service's own ledger in its own tables: looks appended, signed and given away as it does."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.handlers import checkpoints, ledger
from consent.handlers.ledger import Record
from consent.model.ledger import Pseudonyms
from consent.model.notes import Signer

NAMES, SIGNER = Pseudonyms(b"h" * 32), Signer("samlogg.test/ledger", b"l" * 32)
NOW = datetime(2026, 10, 1, tzinfo=UTC)


def look(subject: str) -> Record:
    id_ = str(uuid4())
    content = {"id": id_, "at": "2026-10-01T08:00:00Z", "subject": subject, "actor": {"kind": "person", "id": subject},
               "categories": ["school"], "grants": [], "outcome": "answered"}  # fmt: skip
    return Record(id_, "look", subject, subject, content, "person", subject, ("school",))


async def append(engine: AsyncEngine, *subjects: str) -> None:
    """Each a look, then a checkpoint."""
    async with engine.begin() as conn:
        await ledger.append(conn, NAMES, [look(subject) for subject in subjects])
    async with engine.begin() as conn:
        await checkpoints.sign(conn, SIGNER, NOW)


async def document(engine: AsyncEngine, ask: Any) -> Any:
    async with engine.connect() as conn:
        return json.loads(msgspec.json.encode(await ask(conn)))
