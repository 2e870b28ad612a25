"""What a person register says: standings, the place in its feed, its events once each, and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_standing",
        sa.Column("person", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("protection", sa.String(length=20), server_default="ugradert", nullable=False),
        sa.Column("died_on", sa.Date(), nullable=True),
        sa.Column("closed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("same_as", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"]),
        sa.ForeignKeyConstraint(["same_as"], ["person.id"]),
        sa.PrimaryKeyConstraint("person"),
        sa.CheckConstraint("same_as IS DISTINCT FROM person"),
    )
    op.create_table(
        "register_feed",
        sa.Column("id", sa.Integer(), server_default="1", nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("id = 1"),
    )
    op.execute("INSERT INTO register_feed (id, place) VALUES (1, 0)")
    op.create_table(
        "register_event",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_table(
        "register_dead",
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("again", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("law_fact_people", "law_fact", ["people"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("law_fact_people", "law_fact")
    for name in ("register_dead", "register_event", "register_feed", "person_standing"):
        op.drop_table(name)
