"""Meetings: an item with a time and a place."""

from alembic import op
from sqlalchemy import Column, DateTime, LargeBinary

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("item", Column("meet_at", DateTime(timezone=True)))
    op.add_column("item", Column("place", LargeBinary))
    op.create_check_constraint(
        "whole_meeting",
        "item",
        "CASE WHEN kind = 'meeting' THEN meet_at IS NOT NULL AND state IS NOT NULL"
        " AND state IN ('called-off', 'planned') ELSE meet_at IS NULL AND place IS NULL END",
    )
