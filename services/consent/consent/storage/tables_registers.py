"""Tables of what a person register has said: standings, the place in its feed, events handled, and dead letters."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Integer,
    String,
    Table,
)

from consent.storage.columns import id_type, moment
from consent.storage.tables import metadata

person_standing = Table(
    "person_standing", metadata,
    Column("person", id_type(), ForeignKey("person.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("protection", String(20), nullable=False, server_default="ugradert"),
    Column("died_on", Date),
    Column("closed", Boolean, nullable=False, server_default="false"),
    Column("same_as", id_type(), ForeignKey("person.id")),
    moment("changed_at"),
    Column("ended_on", Date),
    CheckConstraint("same_as IS DISTINCT FROM person"),
)  # fmt: skip
"""What a register has said of a person. version: of the document it comes from; an older one changes nothing. closed: a
record of two people. same_as: whose record it was merged into. ended_on: when a pregnancy ended. Somebody of whom
nothing was said has no row."""

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
    moment("at"),
)  # fmt: skip
"""Events that were handled, once each. outcome: `done`, `nothing` (it changed nothing here), `nobody` (of nobody who is
known here) or `passed-over` (a type that is not heeded)."""

register_dead = Table(
    "register_dead", metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(64), nullable=False),
    moment("at"),
    Column("again", Boolean, nullable=False, server_default="false"),
    moment("settled_at", null=True),
)  # fmt: skip
"""Events that could not be handled: why, and where in the feed they stand, which keeps them; nothing of what they say.
again: an operator wants it tried once more."""
