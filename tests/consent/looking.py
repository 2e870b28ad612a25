"""Looks as the gateway records them, for consent's tests."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent.handlers import ledger
from consent.handlers.ledger import Record
from tests.consent.callers import NAMES, Case


def look(
    subject: str, actor: Actor, *categories: str, grants: tuple[str, ...] = (), refused: str | None = None,
    at: datetime | None = None, **more: Any,
) -> Record:  # fmt: skip
    """A record as the gateway writes it."""
    id_ = str(uuid4())
    content = {
        "id": id_, "at": rfc3339(at or datetime.now(UTC)), "subject": subject,
        "actor": {
            "kind": actor.kind, "id": actor.id, "services": list(actor.services), "role": actor.role,
            "agency": actor.agency,
        },
        "route": "logbook.get-items", "action": "read", "categories": list(categories), "grants": list(grants),
        "basis": "grant", "purpose": "follow-up", "outcome": "refused" if refused else "answered", "reason": refused,
        "count": 1,
    } | more  # fmt: skip
    return Record(id_, "look", subject, subject, content, actor.kind, actor.id, categories, grants)


async def append(case: Case, *records: Record) -> None:
    """Into the ledger, as the consumer brings them."""
    async with case.desk.engine.begin() as conn:
        await ledger.append(conn, NAMES, records)


async def looks(case: Case, actor: Actor, *categories: str, language: str | None = None, **query: str) -> Any:
    """The list as this actor reads it; `from_` stands for `from`."""
    more = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    answer = await case.desk.ask(
        "GET", f"{case.path}/looks" + (f"?{more}" if more else ""), actor, subject=case.subject,
        permit=case.permit("looks", *categories), language=language,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.json()


async def grants(case: Case) -> dict[str, str]:
    """Id of the grant of each service."""
    return {grant["recipient"].removeprefix("service:"): grant["id"] for grant in await case.grants()}
