"""What the log keeps: tables, and the few queries it needs. Handlers import from here."""

from logbook.storage.items import Sealed, add_item, change_item, next_evaluation, one_item, some_items
from logbook.storage.logs import (
    add_level,
    add_log,
    add_offer,
    current_log,
    end_grant,
    granted_to,
    hand_over,
    has_left,
    holders,
    keep_grant,
    level_history,
    lock_log,
    next_number,
    participants,
    waiting_offer,
)
from logbook.storage.tables import idempotency, inbox, metadata, outbox

__all__ = [
    "Sealed",
    "add_item",
    "add_level",
    "add_log",
    "add_offer",
    "change_item",
    "current_log",
    "end_grant",
    "granted_to",
    "hand_over",
    "has_left",
    "holders",
    "idempotency",
    "inbox",
    "keep_grant",
    "level_history",
    "lock_log",
    "metadata",
    "next_evaluation",
    "next_number",
    "one_item",
    "outbox",
    "participants",
    "some_items",
    "waiting_offer",
]
