"""Contact points: where a person wants to be told, sealed with their own key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import require_match
from chassis.keys import KeyGone, SubjectKeys
from notify import storage
from notify.model import STILL_WORTH_SENDING, Contact, Frequency, Language

PLACE = "contact.email"


@dataclass(frozen=True, slots=True)
class Given:
    """A contact point as its owner gave it, sealed before the transaction began."""

    sealed: bytes | None
    language: Language
    notices: Frequency


def id_of(recipient: str) -> str:
    """The id that the key belongs to."""
    return recipient.partition(":")[2]


async def opened(keys: SubjectKeys, recipient: str, kept: storage.SealedContact | None) -> Contact | None:
    """The contact point in the clear; an address whose key was destroyed is gone."""
    if kept is None:
        return None
    email = None
    if kept.email is not None:
        try:
            email = await keys.open(id_of(recipient), kept.email, PLACE)
        except KeyGone:
            email = None
    return Contact(email, kept.language, kept.notices)


def shown(known: Contact | None) -> dict[str, Any]:
    """What its owner is shown; the same form when there is none yet."""
    if known is None:
        return {"email": None, "language": None, "notices": "each"}
    return {"email": known.email, "language": known.language, "notices": known.notices}


async def read_contact(conn: AsyncConnection, keys: SubjectKeys, recipient: str) -> dict[str, Any]:
    """The owner's contact point."""
    return shown(await opened(keys, recipient, await storage.find_contact(conn, recipient)))


async def change_contact(
    conn: AsyncConnection, keys: SubjectKeys, recipient: str, given: Given, if_match: str | None, now: datetime
) -> None:
    """Keep what the owner gave. Problem 428 or 412 when they did not see today's; the first one needs no If-Match."""
    kept = await storage.find_contact(conn, recipient, lock=True)
    if kept is not None or if_match is not None:
        require_match(if_match, shown(await opened(keys, recipient, kept)))
    await storage.keep_contact(conn, recipient, storage.SealedContact(given.sealed, given.language, given.notices), now)
    if given.sealed is not None and given.notices == "each":
        await storage.wake_newest(conn, recipient, now - STILL_WORTH_SENDING, now)
