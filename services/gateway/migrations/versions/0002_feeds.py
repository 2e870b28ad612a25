"""Outbox and inbox of the feeds, and the notices that may still be revoked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
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
        "notice_issued",
        sa.Column("notice", sa.String(36), primary_key=True),
        sa.Column("recipient", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("basis", sa.String(8), nullable=False),
        sa.Column("category", sa.String(64)),
        sa.Column("at", sa.Float),
        sa.Column("grant", sa.String(64)),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("notice_issued_subject", "notice_issued", ["subject", "issued_at"])
    op.create_index("notice_issued_at", "notice_issued", ["issued_at"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("notice_issued", "inbox", "outbox"):
        op.drop_table(table)
