"""How the consent text reached the person is part of the evidence; language tags may name a script and a region."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHECKS = {
    "answer_conveyed": "conveyed IN ('read', 'read-aloud', 'interpreted')",
    "answer_interpreted_into": "(coalesce(conveyed, 'read') = 'interpreted') = (conveyed_into IS NOT NULL)",
    "answer_conveyed_by": "(coalesce(conveyed, 'read') <> 'read') = (conveyed_by IS NOT NULL)",
}


def upgrade() -> None:
    for table, null in (("person", False), ("answer", True)):
        op.alter_column(
            table, "language", existing_type=sa.String(length=8), type_=sa.String(length=12), existing_nullable=null
        )
    for column in ("conveyed", "conveyed_by", "conveyed_into"):
        op.add_column("answer", sa.Column(column, sa.String(length=12), nullable=True))
    for name, check in CHECKS.items():
        op.create_check_constraint(name, "answer", check)


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(name, "answer")
    for column in ("conveyed", "conveyed_by", "conveyed_into"):
        op.drop_column("answer", column)
    for table, null in (("person", False), ("answer", True)):
        op.alter_column(
            table, "language", existing_type=sa.String(length=12), type_=sa.String(length=8), existing_nullable=null
        )
