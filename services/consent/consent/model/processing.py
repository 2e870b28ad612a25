"""The record of processing activities (GDPR art. 30): what its file says, and the rows it gives with what is live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.model.languages import FALLBACK

TOLD = ("subjects", "data", "purpose", "basis", "erasure")
LIVE = frozenset({"categories", "services", "law", "texts"})


class ProcessingInvalid(ValueError):
    """The file cannot be used; its text names the row and the field."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing done with personal data. `told`: each field of TOLD by language. `live`: what the system adds."""

    id: str
    service: str
    told: Mapping[str, Mapping[str, str]]
    live: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Processing:
    """The whole file, one version of it. transfers, security: by language."""

    version: str
    languages: tuple[str, ...]
    transfers: Mapping[str, str]
    security: Mapping[str, str]
    activities: tuple[Activity, ...]

    def language(self, wishes: Sequence[str]) -> str:
        """The first wished language that there is, else bokmål."""
        return next((wish for wish in wishes if wish in self.languages), FALLBACK)

    def rows(self, language: str, live: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """One row for each activity. live: the names of what there is now, by the names in LIVE."""
        return [
            {
                "activity": one.id, "held_by": one.service, **{field: one.told[field][language] for field in TOLD},
                **{name: list(live[name]) if name in one.live else [] for name in sorted(LIVE)},
                "transfers": self.transfers[language], "security": self.security[language],
            }
            for one in self.activities
        ]  # fmt: skip


def parse(raw: Mapping[str, Any]) -> Processing:
    """The file as it was read; ProcessingInvalid when a row, a field or a language is missing, or unknown."""
    languages = tuple(raw.get("languages", ()))
    if FALLBACK not in languages or not raw.get("version"):
        raise ProcessingInvalid(f"record of processing: a version and languages with {FALLBACK} are needed")
    activities = tuple(_activity(row, languages) for row in raw.get("activity", ()))
    if not activities or len({one.id for one in activities}) < len(activities):
        raise ProcessingInvalid("record of processing: activities are needed, each with an id of its own")
    transfers, security = (_texts(raw, name, "head", languages) for name in ("transfers", "security"))
    return Processing(raw["version"], languages, transfers, security, activities)


def _activity(row: Mapping[str, Any], languages: Sequence[str]) -> Activity:
    name, live = str(row.get("id", "without id")), tuple(row.get("live", ()))
    unknown = (row.keys() - {"id", "service", "live", *TOLD}) | (set(live) - LIVE)
    if unknown:
        raise ProcessingInvalid(f"record of processing, row {name}: unknown {', '.join(sorted(unknown))}")
    if not row.get("id") or not row.get("service"):
        raise ProcessingInvalid(f"record of processing, row {name}: id and service are needed")
    return Activity(name, row["service"], {field: _texts(row, field, name, languages) for field in TOLD}, live)


def _texts(row: Mapping[str, Any], field: str, name: str, languages: Sequence[str]) -> Mapping[str, str]:
    found = row.get(field)
    missing = [tag for tag in languages if not isinstance(found, Mapping) or not str(found.get(tag, "")).strip()]
    if missing or not isinstance(found, Mapping):
        raise ProcessingInvalid(f"record of processing, row {name}: {field} in {', '.join(missing)} is missing")
    return {tag: str(found[tag]) for tag in languages}
