"""Logs with their holders, levels, handovers, participants and items, and what the bus needs."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = String(64)
_MOMENT = DateTime(timezone=True)


def upgrade() -> None:
    _logs()
    _changes()
    _items()
    _bus()


def _author() -> list[Column]:
    return [
        Column("by_kind", String(16), nullable=False),
        Column("by_id", _ID, nullable=False),
        Column("by_service", _ID),
    ]


def _logs() -> None:
    op.create_table(
        "holder",
        Column("id", _ID, primary_key=True),
        Column("log", _ID, nullable=False),
        Column("service", _ID, nullable=False),
        Column("staff", _ID),
        Column("since", _MOMENT, nullable=False),
        Column("until", _MOMENT),
        Column("holds", Integer, Computed("CASE WHEN until IS NULL THEN 1 ELSE 0 END", persisted=True), nullable=False),
        UniqueConstraint("id", "log", "holds", name="uq_holder_id"),
        CheckConstraint("until >= since", name="turn"),
    )
    op.create_index("uq_holder_log_holds", "holder", ["log"], unique=True, postgresql_where=text("until IS NULL"))
    op.create_table(
        "log",
        Column("id", _ID, primary_key=True),
        Column("subject", _ID, nullable=False),
        Column("plan_type", _ID, nullable=False),
        Column("guide", _ID, nullable=False),
        Column("level", Integer, nullable=False),
        Column("number", Integer, nullable=False),
        Column("holder", _ID, nullable=False),
        Column("opened_at", _MOMENT, nullable=False),
        Column("closed_at", _MOMENT),
        Column("is_open", Integer, Computed("CASE WHEN closed_at IS NULL THEN 1 END", persisted=True)),
    )
    op.create_index("uq_log_subject_open", "log", ["subject"], unique=True, postgresql_where=text("closed_at IS NULL"))
    op.create_index("ix_log_subject", "log", ["subject"])
    op.create_foreign_key("fk_holder_log", "holder", "log", ["log"], ["id"])
    op.create_foreign_key(
        "fk_log_one_holder",
        "log",
        "holder",
        ["holder", "id", "is_open"],
        ["id", "log", "holds"],
        deferrable=True,
        initially="DEFERRED",
    )


def _changes() -> None:
    op.create_table(
        "level_change",
        Column("id", _ID, primary_key=True),
        Column("log", _ID, ForeignKey("log.id", name="fk_level_change_log"), nullable=False),
        Column("number", Integer, nullable=False),
        Column("level", Integer, nullable=False),
        Column("guide", _ID, nullable=False),
        Column("guide_version", Integer, nullable=False),
        Column("at", _MOMENT, nullable=False),
        *_author(),
        Column("reason", LargeBinary, nullable=False),
        Column("categories", ARRAY(String(64)), nullable=False),
        UniqueConstraint("log", "number", name="uq_level_change_log"),
        CheckConstraint("cardinality(categories) > 0", name="categories"),
    )
    op.create_table(
        "handover",
        Column("id", _ID, primary_key=True),
        Column("log", _ID, ForeignKey("log.id", name="fk_handover_log"), nullable=False),
        Column("to_service", _ID, nullable=False),
        *_author(),
        Column("offered_at", _MOMENT, nullable=False),
        Column("ended_at", _MOMENT),
        Column("accepted", Integer),
    )
    op.create_index(
        "uq_handover_log_waiting", "handover", ["log"], unique=True, postgresql_where=text("ended_at IS NULL")
    )
    op.create_table(
        "participation",
        Column("grant", _ID, primary_key=True),
        Column("subject", _ID, nullable=False),
        Column("recipient", String(80), nullable=False),
        Column("categories", ARRAY(String(64)), nullable=False),
        Column("actions", ARRAY(String(16)), nullable=False),
        Column("since", _MOMENT),
        Column("until", _MOMENT),
        Column("withdrawn_at", _MOMENT),
    )
    op.create_index("ix_participation_subject", "participation", ["subject"])


def _items() -> None:
    op.create_table(
        "item",
        Column("id", _ID, primary_key=True),
        Column("log", _ID, ForeignKey("log.id", name="fk_item_log"), nullable=False),
        Column("subject", _ID, nullable=False),
        Column("number", Integer, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("category", String(64), nullable=False),
        Column("at", _MOMENT, nullable=False),
        *_author(),
        Column("title", LargeBinary),
        Column("text", LargeBinary),
        Column("goal", _ID, ForeignKey("item.id", name="fk_item_goal")),
        Column("measure", _ID, ForeignKey("item.id", name="fk_item_measure")),
        Column("state", String(16)),
        Column("responsible", String(80)),
        Column("accepted_at", _MOMENT),
        Column("evaluate_on", Date),
        Column("outcome", String(16)),
        Column("version", Integer, nullable=False),
        UniqueConstraint("subject", "number", name="uq_item_subject"),
        CheckConstraint(
            "kind <> 'measure' OR (goal IS NOT NULL AND state IS NOT NULL AND responsible IS NOT NULL"
            " AND by_service IS NOT NULL)",
            name="whole_measure",
        ),
        CheckConstraint(
            "(state IN ('active', 'changed', 'continued')) = (evaluate_on IS NOT NULL) OR state IS NULL",
            name="evaluation_date",
        ),
        CheckConstraint(
            "(kind = 'evaluation') = (measure IS NOT NULL AND outcome IS NOT NULL)", name="whole_evaluation"
        ),
    )


def _bus() -> None:
    op.create_table(
        "outbox",
        Column("seq", BigInteger, primary_key=True, autoincrement=True),
        Column("id", String(64), nullable=False),
        Column("aggregatetype", String(120), nullable=False),
        Column("aggregateid", String(64), nullable=False),
        Column("type", String(120), nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("created_at", _MOMENT, nullable=False, server_default=func.now()),
    )
    op.create_table(
        "inbox",
        Column("event", String(64), primary_key=True),
        Column("handler", String(64), primary_key=True),
        Column("handled_at", _MOMENT, nullable=False, server_default=func.now()),
    )
    op.create_index("ix_inbox_handled_at", "inbox", ["handled_at"])
    op.create_table(
        "idempotency",
        Column("scope", String(64), primary_key=True),
        Column("body", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("resource", String(64), nullable=False),
        Column("created_at", _MOMENT, nullable=False, server_default=func.now()),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
