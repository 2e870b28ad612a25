"""Consent texts and service information: versions, which of them is in use, and what an answer may name as evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import Template
from typing import Literal

from consent.model.errors import (
    PurposeUnknown,
    TextExpired,
    TextNotApproved,
    TextNotConveyed,
    TextUnknown,
    TextWithdrawn,
)
from consent.model.languages import FALLBACK, broader

Status = Literal["approved", "draft", "withdrawn"]
Direction = Literal["ltr", "rtl"]
Way = Literal["read", "interpreter"]
How = Literal["read", "read-aloud", "interpreted"]
Helper = Literal["interpreter", "staff", "companion", "relative"]
"""Who read aloud or interpreted: a role, never a name."""

POINTS = ("asks", "purpose", "not_shared", "voluntary", "withdraw")
"""What every text must state: who asks, what for, what is not shared, that help does not depend on it, that it can
be withdrawn (GDPR art. 7 and 13; domain report 2.4)."""
OTHER = "other"
"""What is said of a service of a kind that the text has no words for."""


@dataclass(frozen=True, slots=True)
class Information:
    """One kind of service in plain words: what it does, and what it will use the information for."""

    does: str
    uses: str


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One version in one language: the text itself (`says` has the POINTS) and what it tells about kinds of service.

    starts: the day from which it is used; None for what was never approved.
    """

    version: str
    language: str
    direction: Direction
    status: Status
    starts: date | None
    says: Mapping[str, str]
    purposes: Mapping[str, str]
    services: Mapping[str, Information]

    def body(self, asker: str, purpose: str) -> str:
        """The text as it is shown; PurposeUnknown when the purpose has no words."""
        if purpose not in self.purposes:
            raise PurposeUnknown
        whole = "\n\n".join(self.says[point] for point in POINTS)
        return Template(whole).substitute(asker=asker, purpose=self.purposes[purpose])

    def about(self, kind: str | None) -> Information:
        """What is told about a kind of service."""
        return self.services.get(kind or OTHER, self.services[OTHER])

    def parts(self) -> dict[str, object]:
        """Everything it says, by a name for each part: to compare two versions."""
        return {
            **self.says,
            **{f"purposes.{name}": words for name, words in self.purposes.items()},
            **{f"services.{kind}": told for kind, told in self.services.items()},
        }


@dataclass(frozen=True, slots=True)
class Picked:
    """The text for somebody. way `interpreter`: there is none in their own language, and this one is interpreted."""

    text: ConsentText
    way: Way


@dataclass(frozen=True, slots=True)
class Conveyed:
    """How a text reached the person: read, read aloud by somebody, or interpreted by somebody into a language."""

    how: How
    by: Helper | None = None
    into: str | None = None


READ = Conveyed("read")


@dataclass(frozen=True, slots=True)
class Texts:
    """Every version there is, by language and version. drafts: may this installation show what nobody has approved?"""

    versions: Mapping[str, Mapping[str, ConsentText]]
    drafts: bool

    def in_use(self, language: str, on: date) -> ConsentText | None:
        """The version that is shown in a language on this day: the approved one, else (where drafts may) a draft.

        When the newest was withdrawn the one before it does not come back: it was replaced for a reason.
        """
        known = self.versions.get(language, {}).values()
        begun = [text for text in known if text.starts is not None and text.starts <= on]
        newest = max(begun, key=lambda text: (text.starts, text.version), default=None)
        if newest is not None and newest.status == "approved":
            return newest
        drafts = [text for text in known if text.status == "draft" and self.drafts]
        return max(drafts, key=lambda text: text.version, default=None)

    def all_in_use(self, on: date) -> list[ConsentText]:
        """The version that is shown in each language, of those that have one."""
        return [text for language in sorted(self.versions) if (text := self.in_use(language, on)) is not None]

    def pick(self, purpose: str, on: date, own: str | None, wishes: Sequence[str] = ()) -> Picked:
        """The text in the reader's own language, to be read; else in the next best one, to be interpreted.

        own None: the first wish is the own language. PurposeUnknown when no text has words for the purpose.
        """
        first = own or next(iter(wishes), FALLBACK)
        readable = set(broader(first))
        for wish in (first, *wishes, FALLBACK):
            for language in broader(wish):
                text = self.in_use(language, on)
                if text is not None and purpose in text.purposes:
                    return Picked(text, "read" if language in readable else "interpreter")
        raise PurposeUnknown

    def shown(self, version: str, language: str, on: date) -> ConsentText:
        """The text that an answer names as its evidence; RuleBroken when it is not the one in use, saying why."""
        found = self.versions.get(language, {}).get(version)
        if found is None:
            raise TextUnknown
        current = self.in_use(language, on)
        if found is current:
            return found
        if found.status == "withdrawn":
            raise TextWithdrawn
        begun = found.starts is not None and found.starts <= on
        replaced = found.status == "draft" and current is not None and current.status == "draft"
        raise TextExpired if begun or replaced else TextNotApproved

    def check_conveyed(self, conveyed: Conveyed, purpose: str, on: date, own: str | None) -> None:
        """TextNotConveyed when the person has no text in their own language and yet nobody helped them with it."""
        if conveyed.how == "read" and self.pick(purpose, on, own).way == "interpreter":
            raise TextNotConveyed

    def purposes(self, on: date) -> frozenset[str]:
        """What consent can be asked for: what the text in bokmål has words for, which everybody can be given."""
        text = self.in_use(FALLBACK, on)
        return frozenset() if text is None else frozenset(text.purposes)

    def changed(self, old: ConsentText, on: date) -> frozenset[str] | None:
        """Names of the parts that the text now in use says otherwise or not at all; None when there is none in use."""
        current = self.in_use(old.language, on)
        if current is None:
            return None
        new = current.parts()
        return frozenset(name for name, words in old.parts().items() if new.get(name) != words)


def concerned(old: ConsentText | None, new: ConsentText | None, purpose: str, kind: str | None) -> bool:
    """Does the new text (None: there is none) say something else than the old one, of what matters to a consent for
    this purpose to a service of this kind? An old text that nobody has any more (None) may have said anything."""
    if old is None or new is None:
        return True
    return (
        old.says != new.says
        or old.purposes.get(purpose) != new.purposes.get(purpose)
        or old.about(kind) != new.about(kind)
    )
