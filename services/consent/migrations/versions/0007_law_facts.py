"""Facts that the law table takes, the sector that was asked for, and how far a law table has been applied."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "law_fact",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=16), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=True),
        sa.Column("people", postgresql.ARRAY(sa.Uuid(as_uuid=False)), nullable=False),
        sa.Column("begins", sa.Date(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("recorded_by", sa.String(length=64), nullable=False),
        sa.Column("change", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("ends IS NULL OR ends > begins"),
    )
    op.create_index(op.f("ix_law_fact_subject"), "law_fact", ["subject"], unique=False)
    op.execute("CREATE TRIGGER only_add BEFORE UPDATE OR DELETE ON law_fact FOR EACH ROW EXECUTE FUNCTION only_add()")
    op.execute("CREATE TRIGGER never_empty BEFORE TRUNCATE ON law_fact FOR EACH STATEMENT EXECUTE FUNCTION only_add()")
    op.add_column("request_cell", sa.Column("sector", sa.String(length=64), nullable=True))
    op.add_column("leader", sa.Column("law_generation", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("subject", sa.Column("law_generation", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("subject", "law_generation")
    op.drop_column("leader", "law_generation")
    op.drop_column("request_cell", "sector")
    op.drop_table("law_fact")
