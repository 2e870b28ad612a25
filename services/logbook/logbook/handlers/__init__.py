"""What can be done with a log: one function each, all in the caller's transaction. None of them commits."""

from logbook.handlers.items import add_entry, add_highlight, set_goal
from logbook.handlers.logs import accept_handover, change_level, offer_handover, open_log
from logbook.handlers.measures import accept_measure, evaluate_measure, plan_measure, start_measure
from logbook.handlers.meetings import call_off_meeting, move_meeting, plan_meeting
from logbook.handlers.reading import log_view, read_item, read_items
from logbook.handlers.work import SERVICE, Work

__all__ = [
    "SERVICE",
    "Work",
    "accept_handover",
    "accept_measure",
    "add_entry",
    "add_highlight",
    "call_off_meeting",
    "change_level",
    "evaluate_measure",
    "log_view",
    "move_meeting",
    "offer_handover",
    "open_log",
    "plan_measure",
    "plan_meeting",
    "read_item",
    "read_items",
    "set_goal",
    "start_measure",
]
