"""The law table's rows about the own say: keeping, letting others see, and the exception for life and health."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from consent.model import law_fields as fields
from consent.model.law import Source
from consent.model.own_say import By, ExceptionRow, KeepRow, Kin, OwnSay, ShareRow, Told

_ABOUT = {"what", "from_age", "to_age"}
_WHO = {"reasons", "roles", "sectors"}
FIELDS: Mapping[str, frozenset[str]] = {
    "keep": frozenset(_ABOUT | _WHO | {"by"}),
    "share": frozenset(_ABOUT | {"to"}),
    "exception": frozenset(_ABOUT | _WHO | {"to", "longest_hours", "municipality"}),
}
"""Of each kind of row, besides its source."""
_ROLES = ("professional", "leader")
_BY: tuple[By, ...] = get_args(By)
_KIN: tuple[Kin, ...] = get_args(Kin)
_TOLD: tuple[Told, ...] = get_args(Told)
_A_WEEK = 7 * 24


def read(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> OwnSay:
    """The rows of each kind; LawInvalid, with the row's name."""
    return OwnSay(
        tuple(_keep(row) for row in rows["keep"]),
        tuple(_share(row) for row in rows["share"]),
        tuple(_exception(row) for row in rows["exception"]),
    )


def sources(say: OwnSay) -> list[Source]:
    """Where each of these rows comes from."""
    return [
        *(row.source for row in say.keeps), *(row.source for row in say.shares),
        *(row.source for row in say.exceptions),
    ]  # fmt: skip


def _keep(row: Mapping[str, Any]) -> KeepRow:
    by = fields.chosen(row, "by", _BY)
    return KeepRow(
        fields.source(row), fields.what(row), *fields.ages(row), tuple(one for one in _BY if one in by),
        *_professional(row),
    )  # fmt: skip


def _professional(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return fields.texts(row, "reasons"), fields.chosen(row, "roles", _ROLES), fields.texts(row, "sectors", ())


def _share(row: Mapping[str, Any]) -> ShareRow:
    to = fields.chosen(row, "to", _KIN)
    return ShareRow(fields.source(row), fields.what(row), *fields.ages(row), tuple(one for one in _KIN if one in to))


def _exception(row: Mapping[str, Any]) -> ExceptionRow:
    to, hours = fields.chosen(row, "to", _TOLD), fields.number(row, "longest_hours")
    where = fields.text(row, "municipality") if "municipality" in row else None
    if not 0 < hours <= _A_WEEK:
        raise fields.wrong(row, f"longest_hours is not between 1 and {_A_WEEK}")
    if "service" in to and where is None:
        raise fields.wrong(row, "an exception for a service needs the municipality that has turned it on")
    return ExceptionRow(
        fields.source(row), fields.what(row), *fields.ages(row), tuple(one for one in _TOLD if one in to),
        *_professional(row), hours, where,
    )  # fmt: skip
