"""The ledger's tree: records get their place, tiles and checkpoints.

The ledger's tables are made anew and empty. No installation holds records from before: an entry's form has changed as
well, so old rows could not be proved in the new tree.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEW = ("ledger", "ledger_checkpoint", "ledger_cosignature")
_GOES = ("salt", "canonical", "subject", "actor_kind", "actor")
_STAYS = ("index", "id", "kind", "chain", "sequence", "about", "leaf", "appended_at")


def _row(alias: str) -> str:
    return "(" + ", ".join(f"{alias}.{name}" for name in _STAYS) + ")"


def upgrade() -> None:
    op.drop_table("ledger_head")
    op.drop_table("ledger")
    op.create_table(
        "ledger",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("chain", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("actor_kind", sa.String(length=12), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("grants", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("about", sa.String(length=64), nullable=True),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("canonical", sa.LargeBinary(), nullable=True),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("appended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(salt IS NULL) = (canonical IS NULL)", name="ledger_erased_whole"),
        sa.PrimaryKeyConstraint("index"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("chain", "sequence"),
    )
    op.create_index(
        "ledger_of_subject", "ledger", ["subject", sa.literal_column("sequence DESC")], unique=False,
        postgresql_where=sa.text("subject IS NOT NULL"),
    )  # fmt: skip
    op.create_index("ledger_about", "ledger", ["about"], unique=False, postgresql_where=sa.text("about IS NOT NULL"))
    op.create_table(
        "ledger_tree",
        sa.Column("id", sa.Integer(), server_default="1", nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("stopped", sa.String(length=64), nullable=True),
        sa.CheckConstraint("id = 1"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ledger_tile",
        sa.Column("tier", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tier", "number"),
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "ledger_cosignature",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["ledger_checkpoint.size"]),
        sa.PrimaryKeyConstraint("size"),
    )
    op.execute("INSERT INTO ledger_tree (id, size, edge) VALUES (1, 0, '')")
    op.execute("ALTER TABLE ledger_tile ALTER COLUMN hashes SET STORAGE EXTERNAL")  # hashes cannot be compressed
    _triggers()


def _triggers() -> None:
    gone = " AND ".join(f"NEW.{name} IS NULL" for name in _GOES)
    op.execute(
        f"""
        CREATE FUNCTION only_add_or_erase() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.salt IS NOT NULL AND {gone}
                AND NEW.categories = '{{}}' AND NEW.grants = '{{}}'
                AND {_row("NEW")} IS NOT DISTINCT FROM {_row("OLD")} THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
        END $$
        """
    )
    for table in NEW:
        function = "only_add_or_erase" if table == "ledger" else "only_add"
        op.execute(
            f"CREATE TRIGGER only_add BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        op.execute(
            f"CREATE TRIGGER never_empty BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION only_add()"
        )


def downgrade() -> None:
    for table in ("ledger_cosignature", "ledger_checkpoint", "ledger_tile", "ledger_tree", "ledger"):
        op.drop_table(table)
    op.execute("DROP FUNCTION only_add_or_erase()")
    op.create_table(
        "ledger",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("actor_kind", sa.String(length=12), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("grants", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("about", sa.String(length=64), nullable=True),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=True),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("canonical", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("appended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("chain", "sequence"),
    )
    op.create_index(op.f("ix_ledger_about"), "ledger", ["about"], unique=False)
    op.create_index("ledger_of_subject", "ledger", ["subject", sa.literal_column("sequence DESC")], unique=False)
    op.create_table(
        "ledger_head",
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("chain"),
    )
    for name, timing in (("only_add", "UPDATE OR DELETE"), ("never_empty", "TRUNCATE")):
        each = "ROW" if name == "only_add" else "STATEMENT"
        op.execute(f"CREATE TRIGGER {name} BEFORE {timing} ON ledger FOR EACH {each} EXECUTE FUNCTION only_add()")
