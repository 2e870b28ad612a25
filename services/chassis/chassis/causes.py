"""Whose fault an error is while a message is handled, and what may be told of it."""

import json
from collections.abc import Iterator, Sequence
from types import TracebackType

import aiohttp
import asyncpg
from aiokafka.errors import KafkaError
from fast_depends.exceptions import ValidationError as NotFitting
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chassis.events import BadEvent

LATER_IS_NO_BETTER = (ValidationError, NotFitting, BadEvent, UnicodeDecodeError, json.JSONDecodeError)
"""Errors that trying again cannot mend."""

_LONGEST_REASON = 200
# SQLSTATE classes that a message can cause: data exception, integrity violation, raised by our own trigger.
_THE_MESSAGES_FAULT = ("22", "23", "P0")


class PartFailure(Exception):
    """A handler cannot work now for want of a part (no lease, a service away). Its text names only the part."""


def caused_by_a_part(error: BaseException) -> bool:
    """Is a part of ours to blame (True: wait), or the message (False: dead letter)? The named cause counts as well."""
    if isinstance(error, BaseExceptionGroup):
        return any(caused_by_a_part(one) for one in error.exceptions)
    if isinstance(error, DBAPIError):
        return error.orig is None or _database_to_blame(error.orig)
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return _database_to_blame(error)
    if isinstance(error, PartFailure | OSError | KafkaError | aiohttp.ClientError | PoolTimeout | PendingRollbackError):
        return True
    return error.__cause__ is not None and caused_by_a_part(error.__cause__)


def _database_to_blame(error: BaseException) -> bool:
    """A value that the driver could not even send is the message's fault, like a value the database turned down."""
    if isinstance(error, asyncpg.DataError) or isinstance(error.__cause__, asyncpg.DataError | ValueError):
        return False
    return not str(getattr(error, "sqlstate", None) or "").startswith(_THE_MESSAGES_FAULT)


def reason(error: BaseException) -> str:
    """Type and place of an error, never its text: that may hold what was in the message."""
    if isinstance(error, NotFitting):
        error = error.original_error
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_context=False, include_url=False)
        return "; ".join(f"{one['type']} at {_where(one['type'], one['loc'])}" for one in found)[:_LONGEST_REASON]
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    kind = f"{type(error).__module__}.{type(error).__qualname__}" + (f" {state}" if state else "")
    return f"{kind} at {_last_own_frame(error.__traceback__)}"[:_LONGEST_REASON]


def _where(kind: str, loc: Sequence[int | str]) -> str:
    """A path of field names; the name of a field that nobody knows is itself input and stays out."""
    known = loc[:-1] if kind == "extra_forbidden" else loc
    return ".".join(str(part) for part in known) or "(whole)"


def _last_own_frame(trace: TracebackType | None) -> str:
    found = "?"
    for frame in _frames(trace):
        if "site-packages" not in frame.tb_frame.f_code.co_filename or found == "?":
            name = frame.tb_frame.f_globals.get("__name__", "?")
            found = f"{name}:{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}"
    return found


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next
