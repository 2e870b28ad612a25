"""What is kept from those who see by law, grants that the subject gives a person, and exceptions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keeping",
        sa.Column("seq", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("keeping", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("word", sa.String(length=12), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=True),
        sa.Column("by_kind", sa.String(length=12), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("reference", sa.LargeBinary(), nullable=True),
        sa.Column("change", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["change"], ["change.id"]),
        sa.PrimaryKeyConstraint("seq"),
        sa.CheckConstraint("word IN ('asked', 'set', 'reason', 'turned-down', 'lifted')", name="keeping_word"),
    )
    op.create_index(op.f("ix_keeping_subject"), "keeping", ["subject"], unique=False)
    op.create_index(op.f("ix_keeping_keeping"), "keeping", ["keeping"], unique=False)
    op.create_table(
        "exception",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("told", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("grants", postgresql.ARRAY(sa.Uuid(as_uuid=False)), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("law_version", sa.String(length=32), nullable=False),
        sa.Column("change", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["change"], ["change.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_exception_subject"), "exception", ["subject"], unique=False)
    op.create_index("exception_of_service", "exception", ["service", sa.text("at DESC")], unique=False)
    for table in ("keeping", "exception"):
        op.execute(
            f"CREATE TRIGGER only_add BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION only_add()"
        )
        op.execute(
            f"CREATE TRIGGER never_empty BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION only_add()"
        )
    op.add_column("made", sa.Column("above", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("grants", sa.Column("kind", sa.String(length=12), server_default="consent", nullable=False))
    op.alter_column("grants", "request", nullable=True)
    op.create_check_constraint("grants_kind", "grants", "kind IN ('consent', 'exception')")
    op.create_check_constraint(
        "grants_without_request",
        "grants",
        "request IS NOT NULL OR kind = 'exception' OR recipient LIKE 'person:%'",
    )


def downgrade() -> None:
    op.drop_constraint("grants_without_request", "grants")
    op.drop_constraint("grants_kind", "grants")
    op.execute("DELETE FROM grants WHERE request IS NULL")
    op.alter_column("grants", "request", nullable=False)
    op.drop_column("grants", "kind")
    op.drop_column("made", "above")
    op.drop_table("exception")
    op.drop_table("keeping")
