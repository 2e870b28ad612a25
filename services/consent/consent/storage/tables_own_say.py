"""Tables of the own say: what is kept from those who see by law, and exceptions for life and health."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from consent.storage.columns import id_type, moment
from consent.storage.tables import metadata

keeping = Table(
    "keeping", metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("keeping", id_type(), nullable=False, index=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("word", String(12), nullable=False),
    Column("category", String(64), nullable=False),
    Column("item", String(64)),
    Column("by_kind", String(12), nullable=False),
    Column("by", String(64), nullable=False),
    Column("service", String(64)),
    Column("reason", String(64)),
    Column("reference", LargeBinary),
    Column("change", id_type(), ForeignKey("change.id")),
    moment("at"),
    CheckConstraint("word IN ('asked', 'set', 'reason', 'turned-down', 'lifted')", name="keeping_word"),
)  # fmt: skip
"""What is kept from those who see by law, step by step (model/own_say.py), only ever added to. reference: sealed with
the subject's key. change: the one that this step published; none where it changed nothing of that."""

exception = Table(
    "exception", metadata,
    Column("id", id_type(), primary_key=True),
    Column("subject", id_type(), ForeignKey("subject.id"), nullable=False, index=True),
    Column("category", String(64), nullable=False),
    Column("told", String(12), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("reference", LargeBinary, nullable=False),
    Column("by", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("grants", ARRAY(id_type()), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("law_version", String(32), nullable=False),
    Column("change", id_type(), ForeignKey("change.id"), nullable=False),
    moment("at"),
    Index("exception_of_service", "service", text("at DESC")),
)  # fmt: skip
"""Exceptions for life and health: who showed what to whom, until when (epoch seconds), with the class of the reason and
the reference, sealed with the subject's key. Only ever added to."""
