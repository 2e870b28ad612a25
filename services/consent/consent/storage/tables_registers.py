"""Tables of what a person register has said: standings, the place in its feed, events handled, and dead letters."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Table,
    Uuid,
)

from consent.storage.tables import metadata


def _id() -> Uuid[str]:
    return Uuid(as_uuid=False)


def _time(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


person_standing = Table(
    "person_standing", metadata,
    Column("person", _id(), ForeignKey("person.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("protection", String(20), nullable=False, server_default="ugradert"),
    Column("died_on", Date),
    Column("closed", Boolean, nullable=False, server_default="false"),
    Column("same_as", _id(), ForeignKey("person.id")),
    _time("changed_at"),
    CheckConstraint("same_as IS DISTINCT FROM person"),
)  # fmt: skip
"""What a register has said of a person. version: of the document it comes from; an older one changes nothing. closed: a
record of two people. same_as: whose record it was merged into. Somebody of whom nothing was said has no row."""

register_feed = Table(
    "register_feed", metadata,
    Column("id", Integer, primary_key=True, server_default="1"),
    Column("place", BigInteger, nullable=False),
    CheckConstraint("id = 1"),
)  # fmt: skip
"""One row: how far the feed was read. Whoever handles an event holds it."""

register_event = Table(
    "register_event", metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    _time("at"),
)  # fmt: skip
"""Events that were handled, once each. outcome: `done`, `nothing` (it changed nothing here), `nobody` (of nobody who is
known here) or `passed-over` (a type that is not heeded)."""

register_dead = Table(
    "register_dead", metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(64), nullable=False),
    _time("at"),
    Column("again", Boolean, nullable=False, server_default="false"),
    _time("settled_at", null=True),
)  # fmt: skip
"""Events that could not be handled: why, and where in the feed they stand, which keeps them; nothing of what they say.
again: an operator wants it tried once more."""
