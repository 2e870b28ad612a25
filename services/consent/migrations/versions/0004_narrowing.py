"""Withdrawals of a part of a grant, and which law table the published states come from."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "narrowing",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("by", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=True),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("staff", sa.String(length=64), nullable=True),
        sa.Column("back", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_narrowing_subject"), "narrowing", ["subject"], unique=False)
    op.execute("CREATE TRIGGER only_add BEFORE UPDATE OR DELETE ON narrowing FOR EACH ROW EXECUTE FUNCTION only_add()")
    op.execute("CREATE TRIGGER never_empty BEFORE TRUNCATE ON narrowing FOR EACH STATEMENT EXECUTE FUNCTION only_add()")
    op.add_column("leader", sa.Column("law_version", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("leader", "law_version")
    op.drop_table("narrowing")
