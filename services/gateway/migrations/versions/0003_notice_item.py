"""Which item a notice was about, and what that stands under: it may come to be kept while the notice waits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notice_issued", sa.Column("item", sa.String(length=64), nullable=True))
    op.add_column("notice_issued", sa.Column("above", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("notice_issued", "above")
    op.drop_column("notice_issued", "item")
