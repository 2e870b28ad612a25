"""What time alone brings: when a subject is due, of which end people were told, and which request renews another."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subject", sa.Column("due", sa.BigInteger(), server_default="0", nullable=True))
    op.add_column("subject", sa.Column("as_of", sa.Date(), nullable=True))
    op.create_index(op.f("ix_subject_due"), "subject", ["due"], unique=False)
    op.add_column("grants", sa.Column("told", sa.SmallInteger(), nullable=True))
    op.add_column("request", sa.Column("renews", sa.Uuid(as_uuid=False), nullable=True))
    op.create_foreign_key(None, "request", "request", ["renews"], ["id"])
    op.create_index(op.f("ix_request_renews"), "request", ["renews"], unique=False)


def downgrade() -> None:
    op.drop_column("request", "renews")
    op.drop_column("grants", "told")
    op.drop_column("subject", "as_of")
    op.drop_column("subject", "due")
