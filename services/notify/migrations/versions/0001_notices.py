"""Contact points, notices, deliveries, and what every service has: outbox, inbox and idempotency."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _shared()
    op.create_table(
        "contact",
        sa.Column("recipient", sa.String(80), primary_key=True),
        sa.Column("email", sa.LargeBinary),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("notices", sa.String(8), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("recipient", sa.String(80), nullable=False),
        sa.Column("cause", sa.String(64)),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("notice_recipient", "notice", ["recipient", "received_at"])
    op.create_table(
        "delivery",
        sa.Column("notice", sa.String(64), sa.ForeignKey("notice.id"), primary_key=True),
        sa.Column("channel", sa.String(8), primary_key=True),
        sa.Column("recipient", sa.String(80), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.String(40)),
    )
    op.create_index("delivery_waiting", "delivery", ["next_at"], postgresql_where=sa.text("state = 'waiting'"))


def _shared() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("aggregatetype", sa.String(120), nullable=False),
        sa.Column("aggregateid", sa.String(64), nullable=False),
        sa.Column("type", sa.String(120), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "inbox",
        sa.Column("event", sa.String(64), primary_key=True),
        sa.Column("handler", sa.String(64), primary_key=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_inbox_handled_at", "inbox", ["handled_at"])
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(64), primary_key=True),
        sa.Column("body", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("resource", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("delivery", "notice", "contact", "idempotency", "inbox", "outbox"):
        op.drop_table(table)
