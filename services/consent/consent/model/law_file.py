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

from consent.model import law_fields as fields
from consent.model import own_say_file
from consent.model.births import UNBORN
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
from consent.model.own_say import ExceptionRow, KeepRow, OwnSay, ShareRow
from consent.model.registers import GRADES

_SOURCE = {"id", "legal", "verified_by", "verified_at", "valid_from", "valid_to"}
_REACH = {"from_age", "to_age", "past_due", "capacity", "care", "party", "municipality"}
_FIELDS: Mapping[str, frozenset[str]] = {
    "answer": frozenset(_SOURCE | _REACH | {"what", "sector", "needs", "asks", "hears"}),
    "sight": frozenset(_SOURCE | _REACH | {"who", "what", "actions", "basis"}),
    "record": frozenset(_SOURCE | {"fact", "roles", "sectors"}),
    "circle": frozenset(_SOURCE | {"protection", "sectors", "guardians"}),
    **{kind: frozenset(_SOURCE) | named for kind, named in own_say_file.FIELDS.items()},
}
_HEAD = {"version", "zone", "longest_days", "strict_needs", "project", *_FIELDS}
_PARTIES: tuple[Party, ...] = get_args(Party)
_WHO: tuple[Who, ...] = get_args(Who)
_ACTIONS = ("read", "contribute")
_ROLES = ("professional", "leader")
_KEEPS = ("masked", "nothing")
_MARK = 24
_R = TypeVar("_R", AnswerRow, SightRow, RecordRow, CircleRow, KeepRow, ShareRow, ExceptionRow)


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
    say = own_say_file.read({kind: list(_rows(data, kind)) for kind in own_say_file.FIELDS})
    sources = [
        *(row.source for row in answers), *(row.source for row in sights), *(row.source for row in records),
        *(row.source for row in circles), *own_say_file.sources(say),
    ]  # fmt: skip
    _each_once([source.row for source in sources])
    _check_circles(circles)
    _check_ages([*answers, *sights])
    if production:
        _check_verified(sources, head["project"], approval)
    here = [row for row in answers if row.reach.municipality in (None, municipality)]
    seen = [row for row in sights if row.reach.municipality in (None, municipality)]
    answers, sights, records = _approved(here, approval), _approved(seen, approval), _approved(records, approval)
    circles = _approved(circles, approval)
    say = OwnSay(
        tuple(_approved(say.keeps, approval)), tuple(_approved(say.shares, approval)),
        tuple(row for row in _approved(say.exceptions, approval) if row.municipality in (None, municipality)),
    )  # fmt: skip
    both: list[Row] = [*answers, *sights]
    return Law(
        version=head["version"], mark=_mark(data, municipality, approval), zone=head["zone"],
        longest_days=head["longest_days"], answers=tuple(answers), sights=tuple(sights), records=tuple(records),
        circles=tuple(circles), strict_needs=head["strict_needs"], say=say, by_key=_by_key(both), ages=_ages(both),
        past_due=_past_due(both), days=_days(both),
    )  # fmt: skip


def approval_of(data: Mapping[str, Any]) -> Approval:
    """An approval in its file's form: version, by, at, and rows if not all; LawInvalid."""
    named = {"id": "approval", **data}
    if unknown := set(data) - {"version", "by", "at", "rows"}:
        raise fields.wrong(named, f"unknown field {min(unknown)}")
    rows = frozenset(fields.texts(named, "rows")) if "rows" in named else frozenset()
    return Approval(fields.text(named, "version"), fields.text(named, "by"), fields.day(named, "at"), rows)


def _head(data: Mapping[str, Any]) -> dict[str, Any]:
    row = {"id": "head", **data}
    if unknown := set(data) - _HEAD:
        raise fields.wrong(row, f"unknown field {min(unknown)}")
    name = fields.text(row, "zone")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise fields.wrong(row, "zone is not one") from error
    return {
        "version": fields.text(row, "version"), "zone": zone, "longest_days": fields.number(row, "longest_days"),
        "project": fields.text(row, "project"), "strict_needs": _parties(row, "strict_needs", None),
    }  # fmt: skip


def _rows(data: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for place, row in enumerate(data.get(kind, ())):
        named = {"id": f"{kind} number {place + 1}", **row}
        if "id" not in row:
            raise fields.wrong(named, "id is missing")
        if unknown := set(row) - _FIELDS[kind]:
            raise fields.wrong(named, f"unknown field {min(unknown)}")
        yield named


def _answer(row: Mapping[str, Any]) -> AnswerRow:
    needs, asks, hears = (
        _parties(row, name, default) for name, default in (("needs", None), ("asks", ()), ("hears", ()))
    )
    return AnswerRow(
        fields.source(row), _reach(row), fields.what(row), fields.texts(row, "sector", ()), needs, asks, hears
    )


def _parties(row: Mapping[str, Any], name: str, default: tuple[str, ...] | None) -> frozenset[Party]:
    found = fields.chosen(row, name, _PARTIES, default)
    return frozenset(party for party in _PARTIES if party in found)


def _sight(row: Mapping[str, Any]) -> SightRow:
    named = fields.one(row, "who", _WHO)
    [who] = [one for one in _WHO if one == named]
    actions = () if row.get("actions") == [] else fields.chosen(row, "actions", _ACTIONS)
    return SightRow(fields.source(row), _reach(row), who, fields.what(row), actions, fields.text(row, "basis"))


def _record(row: Mapping[str, Any]) -> RecordRow:
    roles = fields.chosen(row, "roles", _ROLES)
    return RecordRow(
        fields.source(row), fields.one(row, "fact", tuple(VALUES)), roles, fields.texts(row, "sectors", ())
    )


def _circle(row: Mapping[str, Any]) -> CircleRow:
    keeps: Literal["masked", "nothing"] = "masked" if fields.one(row, "guardians", _KEEPS) == "masked" else "nothing"
    return CircleRow(
        fields.source(row), fields.chosen(row, "protection", GRADES[1:]), fields.texts(row, "sectors", ()), keeps
    )


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


def _reach(row: Mapping[str, Any]) -> Reach:
    first, last = fields.ages(row)
    capacity, care, party = (
        fields.chosen(row, name, VALUES[name], (VALUES[name][0],)) for name in ("capacity", "care", "party")
    )
    past_due = fields.number(row, "past_due") if "past_due" in row else None
    if past_due is not None and first != UNBORN:
        raise fields.wrong(row, "past_due is of rows from unborn")
    where = fields.text(row, "municipality") if "municipality" in row else None
    return Reach(first, last, capacity, care, party, where, past_due)


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
"""Who answers about a class where nothing particular is known: before birth, and of every age."""


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
    if first.reach.from_age != UNBORN:
        raise LawInvalid(f"law table, row {first.source.row}: a gap from unborn to {first.reach.from_age} before it")
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
    return tuple(sorted(ages - {UNBORN}))


def _past_due(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(sorted({row.reach.past_due for row in rows if row.reach.past_due is not None}))


def _days(rows: Iterable[Row]) -> frozenset[date]:
    sources = [row.source for row in rows]
    return frozenset(day for one in sources for day in (one.valid_from, one.valid_to) if day is not None)


def _mark(data: Mapping[str, Any], municipality: str | None, approval: Approval | None) -> str:
    """Twenty-four hexadecimal digits of everything that the answers depend on."""
    signed = None if approval is None else [approval.by, str(approval.at), sorted(approval.rows)]
    whole = json.dumps([data, municipality, signed], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:_MARK]
