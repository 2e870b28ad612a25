"""The fields of one row of the law table, read strictly: LawInvalid with the row's name for anything else."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from consent.model.births import UNBORN
from consent.model.law import GENERAL, SPECIAL, LawInvalid, Source


def wrong(row: Mapping[str, Any], said: str) -> LawInvalid:
    """The error for this row."""
    return LawInvalid(f"law table, row {row['id']}: {said}")


def source(row: Mapping[str, Any]) -> Source:
    """Where the row comes from."""
    begins, ends = day(row, "valid_from"), day(row, "valid_to") if "valid_to" in row else None
    if ends is not None and ends <= begins:
        raise wrong(row, "valid_to is not after valid_from")
    by = text(row, "verified_by") if row.get("verified_by") else ""
    at = day(row, "verified_at") if "verified_at" in row else None
    return Source(text(row, "id"), text(row, "legal"), by, at, begins, ends)


def what(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The categories and classes that the row is about."""
    found = texts(row, "what")
    for one in found:
        if one.startswith("class:") and one not in (GENERAL, SPECIAL):
            raise wrong(row, f"what names an unknown class, {one}")
    return found


def text(row: Mapping[str, Any], name: str) -> str:
    """A text that must be there."""
    found = row.get(name)
    if not isinstance(found, str) or not found.strip():
        raise wrong(row, f"{name} is missing")
    return found


def texts(row: Mapping[str, Any], name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """One text, or a list of them, each once."""
    found = row.get(name, default)
    listed = (found,) if isinstance(found, str) else tuple(found) if isinstance(found, list | tuple) else ()
    if (not listed and default is None) or not all(isinstance(one, str) and one for one in listed):
        raise wrong(row, f"{name} is missing")
    if len(set(listed)) != len(listed):
        raise wrong(row, f"{name} says something twice")
    return listed


def chosen(
    row: Mapping[str, Any], name: str, among: Sequence[str], default: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Texts from among these."""
    found = texts(row, name, default)
    if unknown := set(found) - set(among):
        raise wrong(row, f"{name} cannot be {min(unknown)}")
    return found


def one(row: Mapping[str, Any], name: str, among: Sequence[str]) -> str:
    """One of these texts."""
    found = text(row, name)
    if found not in among:
        raise wrong(row, f"{name} cannot be {found}")
    return found


def day(row: Mapping[str, Any], name: str) -> date:
    """A date."""
    found = row.get(name)
    if type(found) is not date:
        raise wrong(row, f"{name} is not a date")
    return found


def number(row: Mapping[str, Any], name: str) -> int:
    """A whole number, not below zero."""
    found = row.get(name)
    if type(found) is not int or found < 0:
        raise wrong(row, f"{name} is not a whole number")
    return found


def ages(row: Mapping[str, Any]) -> tuple[int, int | None]:
    """From which birthday on, and until which (None: without end). `from_age = "unborn"`: before birth, until it."""
    first = UNBORN if row.get("from_age") == "unborn" else number(row, "from_age")
    last = number(row, "to_age") if "to_age" in row else None
    if first == UNBORN and last != 0:
        raise wrong(row, "what holds before birth ends with it: to_age = 0")
    if last is not None and last <= first:
        raise wrong(row, "to_age is not above from_age")
    return first, last
