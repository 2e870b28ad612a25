"""Logins under way and sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "login_attempt",
        sa.Column("state", sa.LargeBinary(32), primary_key=True),
        sa.Column("browser", sa.LargeBinary(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("wanted", sa.String(12), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(64), nullable=False),
        sa.Column("next", sa.String(512), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("login_attempt_ends_at", "login_attempt", ["ends_at"])
    op.create_table(
        "session",
        sa.Column("hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("person", sa.String(36)),
        sa.Column("login", sa.String(64)),
        sa.Column("assurance", sa.String(12), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("session_ends_at", "session", ["ends_at"])
    op.create_index("session_seen_at", "session", ["seen_at"])


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("session")
    op.drop_table("login_attempt")
