"""What is shown of words that came otherwise than by a log-in, of what was told orally, and of a grant's history."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.keys import KeyGone, SubjectKeys
from chassis.permit import Actor
from consent import storage
from consent.handlers.granting import Spoken
from consent.model.otherwise import DIGITAL
from consent.storage import ChangeRow, GivenRow

SEALED = "given_otherwise.sealed"
"""Where place, statement and scan are sealed."""

_BLANK = {"place": None, "statement": None, "scan": None}


async def registered(
    conn: AsyncConnection, keys: SubjectKeys, actor: Actor, subject: str, request: str
) -> list[dict[str, Any]]:
    """What was registered to a request: a person is shown the own words, whole; the asker's staff everybody's, without
    what was written freely."""
    rows = [row for row in await storage.given_of(conn, subject) if row.request == request]
    if actor.kind != "person":
        return [_given(row, _BLANK) for row in rows]
    own = [row for row in rows if row.person == actor.id]
    return [_given(row, await _opened(keys, row)) for row in own]


async def _opened(keys: SubjectKeys, row: GivenRow) -> Mapping[str, Any]:
    if row.sealed is None:
        return _BLANK
    try:
        opened: Mapping[str, Any] = json.loads(await keys.open(row.subject, row.sealed, SEALED))
    except KeyGone:
        return _BLANK
    return opened


def _given(row: GivenRow, written: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row.id, "person": row.person, "manner": row.manner, "given_at": rfc3339(row.given_at),
        "registered_at": rfc3339(row.registered_at), "by": {"kind": row.by_kind, "id": row.by},
        "services": list(row.services), "witness": row.witness, "form": row.form, **written,
    }  # fmt: skip


async def told(conn: AsyncConnection, actor: Actor, request: str) -> list[dict[str, Any]]:
    """Who told whom what, orally, about a request; a person is shown what they were told themselves."""
    rows = (await storage.information_about(conn, [request]))[request]
    return [
        {
            "id": row["id"], "person": row["person"], "text_version": row["text_version"], "language": row["language"],
            "points": row["points"], "interpreter": row["interpreter"], "told_by": row["told_by"],
            "service": row["service"], "told_at": rfc3339(row["told_at"]),
            "registered_at": rfc3339(row["registered_at"]),
        }
        for row in rows
        if actor.kind != "person" or row["person"] == actor.id
    ]  # fmt: skip


def manners(spoken: Spoken, person: str) -> list[str]:
    """How this person's words about a request came."""
    return sorted({word.manner for (who, _), word in spoken.items() if who == person})


async def history(
    conn: AsyncConnection, grant: Mapping[str, Any], subject: str, reader: str | None
) -> list[dict[str, Any]]:
    """How a grant began and ended, in that order. reader: whose own acts alone are told in full (None: everybody's)."""
    ids: Sequence[str] = [id_ for id_ in (grant["began"], grant["ended"]) if id_ is not None]
    rows = {row.id: row for row in await storage.changes_by_id(conn, ids)}
    names = ("began", "ended")
    return [_step(name, rows[grant[name]], subject, reader) for name in names if grant[name] is not None]


def _step(what: str, row: ChangeRow, subject: str, reader: str | None) -> dict[str, Any]:
    by = row.body.get("by")
    whole = by is not None and (reader is None or by == reader)
    return {
        "what": what, "at": rfc3339(row.created_at), "status": "confirmed" if row.confirmed else "pending",
        "by": None if not whole else "subject" if by == subject else "guardian",
        "manner": row.body.get("manner", DIGITAL) if whole else None,
        "through": _through(row.body) if whole else None,
    }  # fmt: skip


def _through(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Who registered it: a member of staff, or the person's companion."""
    if "registered_by" not in body:
        return None
    return {"kind": "person" if body["manner"] == "companion" else "staff", "id": body["registered_by"]}
