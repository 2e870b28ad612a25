"""Consent texts: versioned, by language and purpose, and which of them a person is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any, Literal

from consent.model.errors import PurposeUnknown, TextUnknown

Status = Literal["approved", "draft"]
FALLBACK = "nb"
POINTS = ("asks", "purpose", "not_shared", "voluntary", "withdraw")
"""What every text must state: who asks, what for, what is not shared, that help does not depend on it, that it can
be withdrawn (GDPR art. 7 and 13; domain report 2.4)."""


class TextsInvalid(ValueError):
    """The file of texts cannot be used; its text names the place."""


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One text in one language. `template` names the asker as $asker and the purpose as $purpose."""

    version: str
    language: str
    status: Status
    template: str
    purposes: Mapping[str, str]

    def body(self, asker: str, purpose: str) -> str:
        """The text as it is shown; PurposeUnknown when the purpose has no words."""
        if purpose not in self.purposes:
            raise PurposeUnknown
        return Template(self.template).substitute(asker=asker, purpose=self.purposes[purpose])


@dataclass(frozen=True, slots=True)
class Texts:
    """The newest text of each language that this installation may show."""

    by_language: Mapping[str, ConsentText]

    def pick(self, *wishes: str | None) -> ConsentText:
        """The first wish there is a text for, else bokmål."""
        for wish in wishes:
            if wish is not None and wish in self.by_language:
                return self.by_language[wish]
        return self.by_language[FALLBACK]

    def shown(self, version: str, language: str) -> ConsentText:
        """The text an answer names as its evidence; TextUnknown when it is not the one in use."""
        found = self.by_language.get(language)
        if found is None or found.version != version:
            raise TextUnknown
        return found

    def purposes(self) -> frozenset[str]:
        """Purposes that every text has words for."""
        return frozenset.intersection(*(frozenset(text.purposes) for text in self.by_language.values()))


def usable(data: Mapping[str, Any], *, drafts: bool) -> Texts:
    """The newest version of each language. Drafts count only where `drafts`; TextsInvalid without one in bokmål."""
    found: dict[str, ConsentText] = {}
    for row in data["text"]:
        text = _parse(row)
        if text.status == "approved" or drafts:
            held = found.get(text.language)
            if held is None or _rank(held) <= _rank(text):
                found[text.language] = text
    if FALLBACK not in found:
        raise TextsInvalid("there is no approved consent text in bokmål")
    return Texts(found)


def _rank(text: ConsentText) -> tuple[bool, str]:
    """An approved text outranks a draft; then the newer version."""
    return text.status == "approved", text.version


def _parse(row: Mapping[str, Any]) -> ConsentText:
    try:
        status, parts = row["status"], row["says"]
        if status not in ("approved", "draft") or (status == "approved" and not row["approved_by"]):
            raise TextsInvalid(f"text {row['version']} {row['language']}: an approved text names who approved it")
        missing = [point for point in POINTS if not parts.get(point, "").strip()]
        if missing:
            raise TextsInvalid(f"text {row['version']} {row['language']} does not state: {', '.join(missing)}")
        template = "\n\n".join(parts[point].strip() for point in POINTS)
        return ConsentText(str(row["version"]), row["language"], status, template, dict(row["purposes"]))
    except KeyError as error:
        raise TextsInvalid(f"a text lacks {error}") from error


def wishes(accept_language: str | None) -> Sequence[str]:
    """Languages of an Accept-Language header, best first, without regions; `no` is bokmål; unreadable ones left out."""
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept_language or "").split(",")[:20]):
        name, _, quality = part.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if language and weight > 0:
            found.append((-weight, place, FALLBACK if language == "no" else language))
    return [language for _, _, language in sorted(found)]
