"""Reading the files of consent texts, one for each language; what cannot be relied on stops the start, by its name."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from string import Template
from typing import Any, get_args

from consent.model.languages import FALLBACK, TAG
from consent.model.texts import OTHER, POINTS, ConsentText, Direction, Information, Status, Texts

_FILLED_IN = {"asks": {"asker"}, "purpose": {"purpose"}}
_LONGEST_VERSION = 32


class TextsInvalid(ValueError):
    """The files of texts cannot be used; its text names the language and version."""


def usable(files: Mapping[str, Mapping[str, Any]], today: date, *, drafts: bool) -> Texts:
    """All texts of all languages, by the name of each file. TextsInvalid when one of them cannot be relied on, and when
    there is none in bokmål that may be shown today: nobody could be asked."""
    versions = {name: _language(name, data) for name, data in sorted(files.items())}
    found = Texts(versions, drafts)
    if found.in_use(FALLBACK, today) is None:
        raise TextsInvalid("there is no approved consent text in bokmål")
    return found


def _language(name: str, data: Mapping[str, Any]) -> dict[str, ConsentText]:
    if not re.fullmatch(TAG, name) or data.get("language") != name:
        raise TextsInvalid(f"the file {name} does not say that its language is {name}, or that is no language tag")
    if data.get("direction") not in get_args(Direction):
        raise TextsInvalid(f"{name}: direction must be ltr or rtl")
    rows = [_text(name, data["direction"], row) for row in data.get("text", ())]
    found = {text.version: text for text in rows}
    starts = [text.starts for text in rows if text.status == "approved"]
    if not rows or len(found) != len(rows):
        raise TextsInvalid(f"{name}: there is no text, or two with the same version")
    if len(set(starts)) != len(starts):
        twice = sorted(text.version for text in rows if starts.count(text.starts) > 1)
        raise TextsInvalid(f"text {name} {' and '.join(twice)}: two approved texts begin on the same day")
    return found


def _text(language: str, direction: Direction, row: Mapping[str, Any]) -> ConsentText:
    version = row.get("version")
    if not isinstance(version, str) or not 0 < len(version) <= _LONGEST_VERSION:
        raise TextsInvalid(f"{language}: a text has no version")
    place = f"text {language} {version}"
    status = _status(place, row.get("status"))
    says = _sentences(place, "says", row.get("says"), POINTS)
    purposes = _sentences(place, "purposes", row.get("purposes"), _table(row.get("purposes")))
    told = _table(row.get("services"))
    services = {
        kind: Information(**_sentences(place, f"services.{kind}", told.get(kind), ("does", "uses")))
        for kind in sorted({OTHER, *told})
    }
    if not purposes:
        raise TextsInvalid(f"{place} does not state: purposes")
    _check_filled_in(place, says)
    _check_direction(place, direction, " ".join(says.values()))
    return ConsentText(version, language, direction, status, _starts(place, status, row), says, purposes, services)


def _status(place: str, given: object) -> Status:
    found: Status | None = next((status for status in get_args(Status) if status == given), None)
    if found is None:
        raise TextsInvalid(f"{place}: status must be draft, approved or withdrawn")
    return found


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sentences(place: str, name: str, given: object, wanted: Iterable[str]) -> dict[str, str]:
    """The wanted sentences of one table, without outer spaces; TextsInvalid names the first that is missing."""
    found = {point: str(_table(given).get(point) or "").strip() for point in wanted}
    missing = [point for point, words in found.items() if not words]
    if missing:
        raise TextsInvalid(f"{place} does not state: {name}.{missing[0]}")
    return found


def _starts(place: str, status: Status, row: Mapping[str, Any]) -> date | None:
    """From when it is used. Approved: by whom and when; withdrawn: when."""
    by, on = row.get("approved_by"), row.get("approved_on")
    starts = row.get("from", on)
    if status == "approved" and not (by and isinstance(by, str) and _is_day(on)):
        raise TextsInvalid(f"{place}: an approved text says who approved it (approved_by) and when (approved_on)")
    if status == "withdrawn" and not _is_day(row.get("withdrawn_on")):
        raise TextsInvalid(f"{place}: a withdrawn text says when (withdrawn_on)")
    if status == "draft" or on is None:
        return None
    if not (_is_day(on) and _is_day(starts) and starts >= on):
        raise TextsInvalid(f"{place}: from and approved_on are days, and no text is used before it is approved")
    return date(starts.year, starts.month, starts.day)


def _is_day(value: object) -> bool:
    return type(value) is date


def _check_filled_in(place: str, says: Mapping[str, str]) -> None:
    """Who asks and what for are filled in: a text that leaves them out, or names anything else, tells nobody that."""
    for point, words in says.items():
        template = Template(words)
        if not template.is_valid() or set(template.get_identifiers()) != _FILLED_IN.get(point, set()):
            raise TextsInvalid(f"{place}: says.{point} must name exactly {sorted(_FILLED_IN.get(point, ()))}")


def _check_direction(place: str, direction: Direction, words: str) -> None:
    """What is written from right to left has letters that say so; shown the other way nobody could read it."""
    kinds = [unicodedata.bidirectional(letter) for letter in words]
    leftwards = sum(kind in ("R", "AL") for kind in kinds)
    if (leftwards > kinds.count("L")) is not (direction == "rtl"):
        raise TextsInvalid(f"{place}: its letters are not written {direction}")
