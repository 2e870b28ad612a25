"""The tables of the log. What must never be false of them is a constraint, not only a rule in the model."""

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from chassis.idempotency import idempotency_table
from chassis.inbox import inbox_table
from chassis.outbox import outbox_table
from logbook import model

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
idempotency = idempotency_table(metadata)

_ID = String(64)
_MOMENT = DateTime(timezone=True)


def _author_columns() -> list[Column[Any]]:
    return [
        Column("by_kind", String(16), nullable=False),
        Column("by_id", _ID, nullable=False),
        Column("by_service", _ID),
    ]


holder = Table(
    "holder", metadata,
    Column("id", _ID, primary_key=True),
    Column("log", _ID, ForeignKey("log.id", name="fk_holder_log", use_alter=True), nullable=False),
    Column("service", _ID, nullable=False),
    Column("staff", _ID),
    Column("since", _MOMENT, nullable=False),
    Column("until", _MOMENT),
    Column("holds", Integer, Computed("CASE WHEN until IS NULL THEN 1 ELSE 0 END", persisted=True), nullable=False),
    UniqueConstraint("id", "log", "holds"),
    CheckConstraint("until >= since", name="turn"),
    Index("uq_holder_log_holds", "log", unique=True, postgresql_where=text("until IS NULL")),
)  # fmt: skip
"""Turns with the baton. At most one of a log has no end; `log.holder` makes that at least one."""

log = Table(
    "log", metadata,
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
    # Rule 7: while the log is open, its holder is a turn of this very log that has not ended. Checked at commit, so
    # that a handover may end one turn and begin the next; a log or a handover that would leave none cannot commit.
    ForeignKeyConstraint(
        ["holder", "id", "is_open"], ["holder.id", "holder.log", "holder.holds"],
        name="fk_log_one_holder", deferrable=True, initially="DEFERRED",
    ),
    Index("uq_log_subject_open", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("ix_log_subject", "subject"),
)  # fmt: skip

level_change = Table(
    "level_change", metadata,
    Column("id", _ID, primary_key=True),
    Column("log", _ID, ForeignKey("log.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("guide", _ID, nullable=False),
    Column("guide_version", Integer, nullable=False),
    Column("at", _MOMENT, nullable=False),
    *_author_columns(),
    Column("reason", LargeBinary, nullable=False),
    Column("categories", ARRAY(String(64)), nullable=False),
    UniqueConstraint("log", "number"),
    CheckConstraint("cardinality(categories) > 0", name="categories"),
)  # fmt: skip

handover = Table(
    "handover", metadata,
    Column("id", _ID, primary_key=True),
    Column("log", _ID, ForeignKey("log.id"), nullable=False),
    Column("to_service", _ID, nullable=False),
    *_author_columns(),
    Column("offered_at", _MOMENT, nullable=False),
    Column("ended_at", _MOMENT),
    Column("accepted", Integer),
    Index("uq_handover_log_waiting", "log", unique=True, postgresql_where=text("ended_at IS NULL")),
)  # fmt: skip
"""Offers of the baton; one of a log waits at a time, a new one takes the place of the old."""

participation = Table(
    "participation", metadata,
    Column("grant", _ID, primary_key=True),
    Column("subject", _ID, nullable=False, index=True),
    Column("recipient", String(80), nullable=False),
    Column("categories", ARRAY(String(64)), nullable=False),
    Column("actions", ARRAY(String(16)), nullable=False),
    Column("since", _MOMENT),
    Column("until", _MOMENT),
    Column("withdrawn_at", _MOMENT),
)  # fmt: skip
"""Grants as `consent` has told of them. A row with only `withdrawn_at` is a withdrawal that came before its grant."""

_running = ", ".join(f"'{state}'" for state in sorted(model.RUNNING))
item = Table(
    "item", metadata,
    Column("id", _ID, primary_key=True),
    Column("log", _ID, ForeignKey("log.id"), nullable=False),
    Column("subject", _ID, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("category", String(64), nullable=False),
    Column("at", _MOMENT, nullable=False),
    *_author_columns(),
    Column("title", LargeBinary),
    Column("text", LargeBinary),
    Column("goal", _ID, ForeignKey("item.id")),
    Column("measure", _ID, ForeignKey("item.id")),
    Column("state", String(16)),
    Column("responsible", String(80)),
    Column("accepted_at", _MOMENT),
    Column("evaluate_on", Date),
    Column("outcome", String(16)),
    Column("meet_at", _MOMENT),
    Column("place", LargeBinary),
    Column("version", Integer, nullable=False),
    UniqueConstraint("subject", "number"),
    CheckConstraint(
        "kind <> 'measure' OR (goal IS NOT NULL AND state IS NOT NULL AND responsible IS NOT NULL"
        " AND by_service IS NOT NULL)", name="whole_measure",
    ),
    # F064 where nothing can get round it: a measure under way has a next evaluation date, any other has none.
    CheckConstraint(f"(state IN ({_running})) = (evaluate_on IS NOT NULL) OR state IS NULL", name="evaluation_date"),
    CheckConstraint("(kind = 'evaluation') = (measure IS NOT NULL AND outcome IS NOT NULL)", name="whole_evaluation"),
    CheckConstraint(
        f"CASE WHEN kind = 'meeting' THEN meet_at IS NOT NULL AND state IS NOT NULL"
        f" AND state IN ('{model.CALLED_OFF}', '{model.PLANNED}') ELSE meet_at IS NULL AND place IS NULL END",
        name="whole_meeting",
    ),
)  # fmt: skip
