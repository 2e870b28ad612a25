"""Words given on paper, orally or through a companion; printed forms; information given orally; requests taken back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ADDED = ("given_otherwise", "information_given", "paper_form")


def upgrade() -> None:
    op.create_table(
        "given_otherwise",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("request", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("person", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("way", sa.String(length=12), nullable=False),
        sa.Column("manner", sa.String(length=12), nullable=False),
        sa.Column("by_kind", sa.String(length=8), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("witness", sa.String(length=64), nullable=True),
        sa.Column("form", sa.String(length=16), nullable=True),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("manner IN ('paper', 'oral', 'companion') AND way IN ('answer', 'withdrawal', 'naming')"),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["request"], ["request.id"]),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_given_otherwise_subject"), "given_otherwise", ["subject"], unique=False)
    op.create_table(
        "information_given",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("request", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("person", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("text_version", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=12), nullable=False),
        sa.Column("points", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("interpreter", sa.Boolean(), nullable=False),
        sa.Column("told_by", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["request.id"]),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_information_given_request"), "information_given", ["request"], unique=False)
    op.create_table(
        "paper_form",
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("request", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("person", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("text_version", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=12), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["request.id"]),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "companion",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("person", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("companion", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("called", sa.LargeBinary(), nullable=False),
        sa.Column("acts", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.ForeignKeyConstraint(["companion"], ["person.id"]),
        sa.ForeignKeyConstraint(["given"], ["given_otherwise.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_companion_subject"), "companion", ["subject"], unique=False)
    op.create_index(op.f("ix_companion_companion"), "companion", ["companion"], unique=False)
    for table in _ADDED:
        op.execute(
            f"CREATE TRIGGER only_add BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION only_add()"
        )
        op.execute(
            f"CREATE TRIGGER never_empty BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION only_add()"
        )
    op.add_column("answer", sa.Column("given", sa.Uuid(as_uuid=False), nullable=True))
    op.create_foreign_key(None, "answer", "given_otherwise", ["given"], ["id"])
    op.add_column("request", sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("request", sa.Column("taken_back_by", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("request", "taken_back_by")
    op.drop_column("request", "taken_back_at")
    op.drop_column("answer", "given")
    for table in ("companion", "paper_form", "information_given", "given_otherwise"):
        op.drop_table(table)
