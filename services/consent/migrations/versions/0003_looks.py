"""What looks are searched by, and questions about them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger", sa.Column("at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("ledger", sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("ledger", sa.Column("action", sa.String(length=12), nullable=True))
    op.add_column("ledger", sa.Column("outcome", sa.String(length=12), nullable=True))
    op.execute(
        """
        CREATE FUNCTION search_goes_too() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.at := NULL; NEW.services := NULL; NEW.action := NULL; NEW.outcome := NULL;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER search_goes_too BEFORE UPDATE ON ledger FOR EACH ROW
        WHEN (NEW.canonical IS NULL) EXECUTE FUNCTION search_goes_too()
        """
    )
    op.create_index(
        "ledger_by_time",
        "ledger",
        [sa.literal_column("at DESC"), sa.literal_column("id DESC")],
        postgresql_where=sa.text("kind = 'look'"),
    )
    op.create_table(
        "question",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("look", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("asked_by", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"]),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("look", "asked_by"),
    )
    op.create_index(
        "question_of_service",
        "question",
        ["service", sa.literal_column("asked_at DESC"), sa.literal_column("id DESC")],
    )


def downgrade() -> None:
    op.drop_table("question")
    op.drop_index("ledger_by_time", table_name="ledger")
    op.execute("DROP TRIGGER search_goes_too ON ledger")
    op.execute("DROP FUNCTION search_goes_too()")
    for name in ("outcome", "action", "services", "at"):
        op.drop_column("ledger", name)
