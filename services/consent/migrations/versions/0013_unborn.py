"""Somebody who is expected: a due date instead of a birth date, when the birth was told of, or that it ended."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("person", "birth_date", nullable=True)
    op.add_column("person", sa.Column("due_date", sa.Date(), nullable=True))
    op.add_column("person", sa.Column("birth_told_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("person_born_or_due", "person", "birth_date IS NOT NULL OR due_date IS NOT NULL")
    op.add_column("person_standing", sa.Column("ended_on", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("person_standing", "ended_on")
    op.drop_constraint("person_born_or_due", "person")
    op.drop_column("person", "birth_told_at")
    op.drop_column("person", "due_date")
    op.alter_column("person", "birth_date", nullable=False)
