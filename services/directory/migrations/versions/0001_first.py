"""Entities with their versions, guides, invitations, credentials, and what the bus needs."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateSequence, Sequence

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(CreateSequence(Sequence("entity_seq")))
    op.create_table(
        "entity",
        Column("kind", String(16), primary_key=True),
        Column("id", String(64), primary_key=True),
        Column("district", String(64), index=True),
        Column("version", Integer, nullable=False),
        Column("active", Boolean, nullable=False),
        Column("body", JSONB, nullable=False),
        Column("identity", String(64)),
        Column("seq", BigInteger, nullable=False),
        Column("traceparent", String(64)),
        Column("changed_at", DateTime(timezone=True), nullable=False),
        Column("published", Integer, nullable=False, server_default="0"),
        Column("position", BigInteger),
        Column("confirmed", Integer, nullable=False, server_default="0"),
    )
    op.create_index("entity_unpublished", "entity", ["seq"], postgresql_where=text("version > published"))
    op.create_index(
        "entity_identity", "entity", ["identity"], unique=True,
        postgresql_where=text("active AND identity IS NOT NULL"),
    )  # fmt: skip
    op.create_index(
        "entity_orgnr", "entity", [text("(body->>'orgnr')")], unique=True,
        postgresql_where=text("active AND kind = 'agency'"),
    )  # fmt: skip
    op.create_table(
        "history",
        Column("kind", String(16), primary_key=True),
        Column("id", String(64), primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("by", String(64), nullable=False),
        Column("active", Boolean, nullable=False),
        Column("body", JSONB, nullable=False),
    )
    op.create_table(
        "guide",
        Column("district", String(64), primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("since", DateTime(timezone=True), nullable=False),
        Column("source", JSONB, nullable=False),
        Column("body", JSONB, nullable=False),
    )
    op.create_table(
        "invitation",
        Column("code", String(64), primary_key=True),
        Column("staff", String(64), nullable=False, index=True),
        Column("expires", DateTime(timezone=True), nullable=False),
        Column("redeemed", DateTime(timezone=True)),
    )
    op.create_table(
        "credential",
        Column("attachment", String(64), primary_key=True),
        Column("user", String(200), nullable=False),
        Column("sealed", String, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "horizon",
        Column("topic", String(120), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, nullable=False),
    )
    op.create_table(
        "inbox",
        Column("event", String(64), primary_key=True),
        Column("handler", String(64), primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    )
    op.create_table(
        "idempotency",
        Column("scope", String(64), primary_key=True),
        Column("body", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("resource", String(64), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    )
