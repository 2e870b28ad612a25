"""The law table's file: read row by row, and refused with the row's name when it leaves a question open.

A table must not say two things about one day, nor leave out ages between those it speaks of. Rows are of the whole
country, or of one municipality, whose own rows take the place of the country's about the same thing.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consent.model.facts import VALUES, Party
from consent.model.law import (
    GENERAL,
    SPECIAL,
    AnswerRow,
    CircleRow,
    Key,
    Law,
    LawInvalid,
    Reach,
    RecordRow,
    Row,
    SightRow,
    Source,
    Who,
    keys,
)
from consent.model.registers import GRADES

_SOURCE = {"id", "legal", "verified_by", "verified_at", "valid_from", "valid_to"}
_REACH = {"from_age", "to_age", "capacity", "care", "party", "municipality"}
_FIELDS: Mapping[str, frozenset[str]] = {
    "answer": frozenset(_SOURCE | _REACH | {"what", "sector", "needs", "asks", "hears"}),
    "sight": frozenset(_SOURCE | _REACH | {"who", "what", "actions", "basis"}),
    "record": frozenset(_SOURCE | {"fact", "roles", "sectors"}),
    "circle": frozenset(_SOURCE | {"protection", "sectors", "guardians"}),
}
_HEAD = {"version", "zone", "longest_days", "strict_needs", "project", *_FIELDS}
_PARTIES: tuple[Party, ...] = get_args(Party)
_WHO: tuple[Who, ...] = get_args(Who)
_ACTIONS = ("read", "contribute")
_ROLES = ("professional", "leader")
_KEEPS = ("masked", "nothing")
_MARK = 24
_R = TypeVar("_R", AnswerRow, SightRow, RecordRow, CircleRow)


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's name under a version of the table, or under some of its rows (none named: all of them)."""

    version: str
    by: str
    at: date
    rows: frozenset[str] = frozenset()

    def covers(self, row: str) -> bool:
        """Is this row approved?"""
        return not self.rows or row in self.rows


def parse(
    data: Mapping[str, Any], *, municipality: str | None = None, approval: Approval | None = None,
    production: bool = False,
) -> Law:  # fmt: skip
    """The table in `law.toml`'s form, as it holds in a municipality; LawInvalid, with the row's name.

    approval: verifies the rows that it covers, if it is of this very version. production: every row needs the name of
    somebody who did not build the system, or such an approval.
    """
    head = _head(data)
    if approval is not None and approval.version != head["version"]:
        raise LawInvalid(f"the approval is of version {approval.version}, the table is version {head['version']}")
    answers = [_answer(row) for row in _rows(data, "answer")]
    sights = [_sight(row) for row in _rows(data, "sight")]
    records = [_record(row) for row in _rows(data, "record")]
    circles = [_circle(row) for row in _rows(data, "circle")]
    sources = [row.source for kind in (answers, sights, records, circles) for row in kind]
    _each_once([source.row for source in sources])
    _check_circles(circles)
    _check_ages([*answers, *sights])
    if production:
        _check_verified(sources, head["project"], approval)
    here = [row for row in answers if row.reach.municipality in (None, municipality)]
    seen = [row for row in sights if row.reach.municipality in (None, municipality)]
    answers, sights, records = _approved(here, approval), _approved(seen, approval), _approved(records, approval)
    circles = _approved(circles, approval)
    both: list[Row] = [*answers, *sights]
    return Law(
        version=head["version"], mark=_mark(data, municipality, approval), zone=head["zone"],
        longest_days=head["longest_days"], answers=tuple(answers), sights=tuple(sights), records=tuple(records),
        circles=tuple(circles), strict_needs=head["strict_needs"], by_key=_by_key(both), ages=_ages(both),
        days=_days(both),
    )  # fmt: skip


def approval_of(data: Mapping[str, Any]) -> Approval:
    """An approval in its file's form: version, by, at, and rows if not all; LawInvalid."""
    named = {"id": "approval", **data}
    if unknown := set(data) - {"version", "by", "at", "rows"}:
        raise _wrong(named, f"unknown field {min(unknown)}")
    rows = frozenset(_texts(named, "rows")) if "rows" in named else frozenset()
    return Approval(_text(named, "version"), _text(named, "by"), _day(named, "at"), rows)


def _head(data: Mapping[str, Any]) -> dict[str, Any]:
    row = {"id": "head", **data}
    if unknown := set(data) - _HEAD:
        raise _wrong(row, f"unknown field {min(unknown)}")
    name = _text(row, "zone")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _wrong(row, "zone is not one") from error
    return {
        "version": _text(row, "version"), "zone": zone, "longest_days": _number(row, "longest_days"),
        "project": _text(row, "project"), "strict_needs": _parties(row, "strict_needs", None),
    }  # fmt: skip


def _rows(data: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for place, row in enumerate(data.get(kind, ())):
        named = {"id": f"{kind} number {place + 1}", **row}
        if "id" not in row:
            raise _wrong(named, "id is missing")
        if unknown := set(row) - _FIELDS[kind]:
            raise _wrong(named, f"unknown field {min(unknown)}")
        yield named


def _answer(row: Mapping[str, Any]) -> AnswerRow:
    needs, asks, hears = (
        _parties(row, name, default) for name, default in (("needs", None), ("asks", ()), ("hears", ()))
    )
    return AnswerRow(_source(row), _reach(row), _what(row), _texts(row, "sector", ()), needs, asks, hears)


def _parties(row: Mapping[str, Any], name: str, default: tuple[str, ...] | None) -> frozenset[Party]:
    found = _chosen(row, name, _PARTIES, default)
    return frozenset(party for party in _PARTIES if party in found)


def _sight(row: Mapping[str, Any]) -> SightRow:
    named = _one(row, "who", _WHO)
    [who] = [one for one in _WHO if one == named]
    actions = () if row.get("actions") == [] else _chosen(row, "actions", _ACTIONS)
    return SightRow(_source(row), _reach(row), who, _what(row), actions, _text(row, "basis"))


def _record(row: Mapping[str, Any]) -> RecordRow:
    roles = _chosen(row, "roles", _ROLES)
    return RecordRow(_source(row), _one(row, "fact", tuple(VALUES)), roles, _texts(row, "sectors", ()))


def _circle(row: Mapping[str, Any]) -> CircleRow:
    keeps: Literal["masked", "nothing"] = "masked" if _one(row, "guardians", _KEEPS) == "masked" else "nothing"
    return CircleRow(_source(row), _chosen(row, "protection", GRADES[1:]), _texts(row, "sectors", ()), keeps)


def _check_circles(rows: Iterable[CircleRow]) -> None:
    """On no day do two rows speak of one protection."""
    seen: list[CircleRow] = []
    for row in rows:
        for other in seen:
            days = {row.source.valid_from, other.source.valid_from}
            both = set(row.protection) & set(other.protection)
            if both and any(row.source.holds(day) and other.source.holds(day) for day in days):
                raise LawInvalid(f"law table, row {row.source.row}: it overlaps row {other.source.row}")
        seen.append(row)


def _what(row: Mapping[str, Any]) -> tuple[str, ...]:
    found = _texts(row, "what")
    for one in found:
        if one.startswith("class:") and one not in (GENERAL, SPECIAL):
            raise _wrong(row, f"what names an unknown class, {one}")
    return found


def _source(row: Mapping[str, Any]) -> Source:
    begins, ends = _day(row, "valid_from"), _day(row, "valid_to") if "valid_to" in row else None
    if ends is not None and ends <= begins:
        raise _wrong(row, "valid_to is not after valid_from")
    by = _text(row, "verified_by") if row.get("verified_by") else ""
    at = _day(row, "verified_at") if "verified_at" in row else None
    return Source(_text(row, "id"), _text(row, "legal"), by, at, begins, ends)


def _reach(row: Mapping[str, Any]) -> Reach:
    first, last = _number(row, "from_age"), _number(row, "to_age") if "to_age" in row else None
    if last is not None and last <= first:
        raise _wrong(row, "to_age is not above from_age")
    capacity, care, party = (
        _chosen(row, name, VALUES[name], (VALUES[name][0],)) for name in ("capacity", "care", "party")
    )
    return Reach(first, last, capacity, care, party, _text(row, "municipality") if "municipality" in row else None)


def _wrong(row: Mapping[str, Any], said: str) -> LawInvalid:
    return LawInvalid(f"law table, row {row['id']}: {said}")


def _text(row: Mapping[str, Any], name: str) -> str:
    found = row.get(name)
    if not isinstance(found, str) or not found.strip():
        raise _wrong(row, f"{name} is missing")
    return found


def _texts(row: Mapping[str, Any], name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """One text, or a list of them, each once."""
    found = row.get(name, default)
    listed = (found,) if isinstance(found, str) else tuple(found) if isinstance(found, list | tuple) else ()
    if (not listed and default is None) or not all(isinstance(one, str) and one for one in listed):
        raise _wrong(row, f"{name} is missing")
    if len(set(listed)) != len(listed):
        raise _wrong(row, f"{name} says something twice")
    return listed


def _chosen(
    row: Mapping[str, Any], name: str, among: Sequence[str], default: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    found = _texts(row, name, default)
    if unknown := set(found) - set(among):
        raise _wrong(row, f"{name} cannot be {min(unknown)}")
    return found


def _one(row: Mapping[str, Any], name: str, among: Sequence[str]) -> str:
    found = _text(row, name)
    if found not in among:
        raise _wrong(row, f"{name} cannot be {found}")
    return found


def _day(row: Mapping[str, Any], name: str) -> date:
    found = row.get(name)
    if type(found) is not date:
        raise _wrong(row, f"{name} is not a date")
    return found


def _number(row: Mapping[str, Any], name: str) -> int:
    found = row.get(name)
    if type(found) is not int or found < 0:
        raise _wrong(row, f"{name} is not a whole number")
    return found


def _each_once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise LawInvalid(f"law table, row {name}: there is another row of this name")
        seen.add(name)


def _check_ages(rows: Iterable[Row]) -> None:
    """On each day of validity, the rows about one thing join without gap or overlap, and classes leave no age out."""
    places: dict[Key, list[Row]] = {}
    for row in rows:
        for key in keys(row):
            places.setdefault((*key, row.reach.municipality), []).append(row)
    for key, found in places.items():
        for day in sorted(_days(found)):
            valid = sorted((row for row in found if row.source.holds(day)), key=lambda row: row.reach.from_age)
            _check_joined(valid)
            if valid and isinstance(valid[0], AnswerRow) and key[1:] in _WHOLE:
                _check_whole(valid)


_WHOLE = frozenset((what, None, None, "able", "parents", "age", None) for what in (GENERAL, SPECIAL))
"""Who answers about a class where nothing particular is known: of every age."""


def _check_joined(rows: Sequence[Row]) -> None:
    for one, two in pairwise(rows):
        ends, begins = one.reach.to_age, two.reach.from_age
        if ends is None or ends > begins:
            raise LawInvalid(f"law table, row {two.source.row}: it overlaps row {one.source.row}")
        if ends < begins:
            raise LawInvalid(
                f"law table, row {two.source.row}: a gap from {ends} to {begins} after row {one.source.row}"
            )


def _check_whole(rows: Sequence[Row]) -> None:
    first, last = rows[0], rows[-1]
    if first.reach.from_age:
        raise LawInvalid(f"law table, row {first.source.row}: a gap from 0 to {first.reach.from_age} before it")
    if last.reach.to_age is not None:
        raise LawInvalid(f"law table, row {last.source.row}: a gap from {last.reach.to_age} on after it")


def _check_verified(sources: Iterable[Source], project: str, approval: Approval | None) -> None:
    for source in sources:
        named = source.verified() and source.verified_by != project
        if not (named or (approval is not None and approval.covers(source.row))):
            raise LawInvalid(f"law table, row {source.row}: nobody who may has verified or approved it")


def _approved(rows: Iterable[_R], approval: Approval | None) -> list[_R]:
    if approval is None:
        return list(rows)
    return [
        replace(row, source=replace(row.source, verified_by=approval.by, verified_at=approval.at))
        if approval.covers(row.source.row)
        else row
        for row in rows
    ]


def _by_key(rows: Iterable[Row]) -> dict[Key, tuple[Row, ...]]:
    found: dict[Key, tuple[Row, ...]] = {}
    for row in rows:
        for key in keys(row):
            found[key] = (*found.get(key, ()), row)
    return found


def _ages(rows: Iterable[Row]) -> tuple[int, ...]:
    ages = {age for row in rows for age in (row.reach.from_age, row.reach.to_age) if age is not None}
    return tuple(sorted(ages))


def _days(rows: Iterable[Row]) -> frozenset[date]:
    sources = [row.source for row in rows]
    return frozenset(day for one in sources for day in (one.valid_from, one.valid_to) if day is not None)


def _mark(data: Mapping[str, Any], municipality: str | None, approval: Approval | None) -> str:
    """Twenty-four hexadecimal digits of everything that the answers depend on."""
    signed = None if approval is None else [approval.by, str(approval.at), sorted(approval.rows)]
    whole = json.dumps([data, municipality, signed], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:_MARK]
