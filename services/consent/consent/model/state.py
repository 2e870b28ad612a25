"""The whole state of a subject as it is published: grants by consent and by law, and open requests."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5

from consent.model.grants import BASIS, Terms
from consent.model.law import Category, Law, Sight, Who, sights

TYPE = "consent.state.v1"
PURPOSE_BY_LAW = "insight"
_BY_LAW = UUID("6f1d8a52-7f0e-5b0b-9b1c-2f6f3a7c4e11")


@dataclass(frozen=True, slots=True)
class Live:
    """A grant by consent that has not ended."""

    id: str
    begins: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Who asks whom."""

    id: str
    asker: str
    asked: tuple[str, ...]


def whole(
    subject: str, version: int, live: Iterable[Live], by_law: Iterable[Mapping[str, Any]],
    requests: Iterable[OpenRequest],
) -> dict[str, Any]:  # fmt: skip
    """The record on the state topic; the order of its lists says nothing but is always the same."""
    grants = [_by_consent(grant) for grant in live] + [dict(grant) for grant in by_law]
    return {
        "version": version, "subject": subject, "grants": sorted(grants, key=lambda grant: grant["id"]),
        "requests": [
            {"id": found.id, "asker": f"service:{found.asker}", "asked": list(found.asked), "open": True}
            for found in sorted(requests, key=lambda found: found.id)
        ],
    }  # fmt: skip


def _by_consent(grant: Live) -> dict[str, Any]:
    terms = grant.terms
    return {
        "id": grant.id, "kind": "consent", "recipient": terms.recipient, "categories": list(terms.categories),
        "actions": list(terms.actions), "purpose": terms.purpose, "basis": BASIS, "from": grant.begins,
        "until": terms.until, "back": terms.back, "except": list(terms.excluded),
    }  # fmt: skip


def by_law(
    law: Law, subject: str, born: date, guardians: Iterable[str], categories: Sequence[Category], now: datetime
) -> list[dict[str, Any]]:
    """The grants of kind `self` and `parental`. Their ids come from their content: the same grant, the same id."""
    on = law.day_of(now)
    found = _grants(law, subject, "self", subject, sights(law, "self", categories, born, on))
    parental = sights(law, "parental", categories, born, on)
    for guardian in sorted(guardians):
        found += _grants(law, subject, "parental", guardian, parental)
    return found


def _grants(law: Law, subject: str, kind: Who, person: str, seen: Iterable[Sight]) -> list[dict[str, Any]]:
    grouped: dict[tuple[date, date | None, tuple[str, ...], str], list[str]] = {}
    for sight in seen:
        grouped.setdefault((sight.start, sight.end, sight.actions, sight.basis), []).append(sight.category)
    found = []
    for (start, end, actions, basis), categories in grouped.items():
        content = {
            "kind": kind, "recipient": f"person:{person}", "categories": sorted(categories), "actions": list(actions),
            "purpose": PURPOSE_BY_LAW, "basis": basis, "from": law.starts(start),
            "until": None if end is None else law.starts(end), "back": None, "except": [],
        }  # fmt: skip
        name = json.dumps([subject, content], sort_keys=True, separators=(",", ":"))
        found.append({"id": str(uuid5(_BY_LAW, name)), **content})
    return found
