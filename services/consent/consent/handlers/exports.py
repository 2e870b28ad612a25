"""The list of looks as a file, rows or a page to print: what the gateway writes, once it has cut it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.keys import SubjectKeys
from chassis.permit import Actor, Permit
from consent import storage
from consent.handlers import proofs
from consent.handlers.looks import Page, looks
from consent.model.errors import NoCheckpoint, TooMany, TooManyProved
from consent.model.ledger import Pseudonyms
from consent.model.looks import Wanted
from consent.model.notes import Signer
from consent.model.processing import LIVE, TOLD
from consent.model.words import Words

MOST = 2_000
"""Looks in one file: what the gateway cuts and writes without making others wait."""

MOST_PROVED = 10_000
"""Entries in one document with proofs: what the gateway takes in one answer."""

Form = Literal["json", "csv", "print"]
_SPREADSHEET = (
    ("time", "at"), ("services", "actor.services"), ("role", "actor.role"), ("agency", "actor.agency"),
    ("who", "actor.kind"), ("route", "route"), ("action", "action"), ("categories", "categories"),
    ("purpose", "purpose"), ("basis", "basis"), ("grants", "grants"), ("outcome", "outcome"), ("reason", "reason"),
    ("held_back", "held_back"), ("count", "count"), ("text", "text"), ("made", "made.what"), ("items", "made.item"),
    ("question", "question.text"), ("answer", "question.answer"), ("id", "id"),
)  # fmt: skip
_AUDIT = (("subject", "subject"), ("actor", "actor.id"))
_NOT_FOR_AUDIT = frozenset({"text", "made", "items", "question", "answer"})


@dataclass(frozen=True, slots=True)
class Proving:
    """Who signs, what the ledger calls people, and where the municipality is."""

    signer: Signer
    names: Pseudonyms
    zone: ZoneInfo


async def export(
    conn: AsyncConnection, keys: SubjectKeys, proving: Proving, permit: Permit, actor: Actor, wanted: Wanted,
    form: Form, wishes: Sequence[str], now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """All looks that the reader asked for and may see, in one piece; TooMany when they are too many for it.

    The subject's own whole list as JSON is the document of LEDGER.md, with its proofs; whoever else reads, or only a
    part of it, gets what they may see without proofs, and is told so.
    """
    name = f"samlogg-{now.astimezone(proving.zone).date().isoformat()}"
    if form == "json" and wanted == Wanted() and proofs.may_prove(actor, permit.subject):
        return {"paper": {"form": "json", "name": name, "content": await _proved(conn, proving, permit.subject)}}
    page = await looks(conn, keys, permit, actor, wanted, None, MOST + 1, wishes)
    if len(page.items) > MOST:
        raise TooMany
    whole = proofs.may_prove(actor, permit.subject)
    body: dict[str, Any] = {"items": page.items, "next": None}
    if form == "json":
        about = page.words.said("paper", "check" if whole else "cut")
        return {**body, "kind": "looks", "proofs": False, "about": about}
    if form == "csv":
        return {**body, "paper": spreadsheet(name, page.words.language, _SPREADSHEET)}
    receipt = await _receipt(conn, proving, permit.subject) if whole else None
    return {**body, "paper": _page(name, page, wanted, now, receipt, whole=whole)}


async def _proved(conn: AsyncConnection, proving: Proving, subject: str) -> str:
    """The whole list with its proofs, as text: every byte of it is signed or hashed, so nothing in it may change."""
    last = await storage.last_entry(conn, proving.names.of(subject), (await proofs.newest(conn)).size)
    if last is not None and last.sequence > MOST_PROVED:
        raise TooManyProved
    document = await proofs.export(conn, proving.signer, proving.names, subject)
    return msgspec.json.encode(document).decode()


async def _receipt(conn: AsyncConnection, proving: Proving, subject: str) -> str | None:
    try:
        made = await proofs.receipt(conn, proving.signer, proving.names, subject)
    except NoCheckpoint:
        return None
    return str(made["receipt"])


def spreadsheet(name: str, language: str, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How the gateway is to write the items as rows."""
    return {
        "form": "csv", "name": name, "language": language,
        "columns": [{"title": title, "field": field} for title, field in columns],
    }  # fmt: skip


def audit(name: str) -> dict[str, Any]:
    """Rows for a privacy officer: whose looks, and by whom, in codes."""
    columns = [column for column in _SPREADSHEET if column[0] not in _NOT_FOR_AUDIT]
    return spreadsheet(name, "en", [*_AUDIT, *columns])


def processing(name: str, language: str) -> dict[str, Any]:
    """The record of processing as rows: its fields under their own names."""
    fields = ("activity", "held_by", *TOLD, *sorted(LIVE), "transfers", "security")
    return spreadsheet(name, language, [(field, field) for field in fields])


def _page(
    name: str, page: Page, wanted: Wanted, now: datetime, receipt: str | None, *, whole: bool
) -> dict[str, Any]:  # fmt: skip
    words, columns = page.words, [("told", "text")]
    if any(item["question"] for item in page.items):
        columns += [("question", "question.text"), ("answer", "question.answer")]
    columns.append(("number", "id"))
    before = [words.said("paper", "intro"), *_period(words, wanted, now)]
    before.append(words.said("paper", "made", time=words.moment(now)))
    if not whole:
        before.append(words.said("paper", "cut"))
    after = [words.said("paper", "ask")]
    if whole:
        after += [words.said("paper", "check"), words.said("paper", "receipt")]
    return {
        "form": "print", "name": name, "language": words.language, "title": words.said("paper", "title"),
        "before": before, "after": after, "note": receipt, "empty": words.said("paper", "empty"),
        "columns": [{"title": words.said("paper", title), "field": field} for title, field in columns],
    }  # fmt: skip


def _period(words: Words, wanted: Wanted, now: datetime) -> list[str]:
    if wanted.begins is None:
        return []
    times = {"from": words.moment(wanted.begins), "to": words.moment(wanted.ends or now)}
    return [words.said("paper", "period", **times)]
