"""Who looked, in plain words: the tables of words by language, and the sentences made of one look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any, Literal
from zoneinfo import ZoneInfo

from consent.model.languages import FALLBACK, broader
from consent.model.texts import Direction

OFFICER = "privacy-officer"
_UNCERTAIN = frozenset({"not-found", "turned-down", "cut-off", "nobody-there"})
_PLAIN_ROLES = frozenset({OFFICER, "admin"})

Who = Literal["you", "subject", "guardian", "person", "staff", "machine"]


class WordsInvalid(ValueError):
    """The file of words cannot be used; its text names the language and the place."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one look beside its record. services, categories: names in the reader's language.

    consents: when each grant by consent that it was under began. by_law: was it under a right that the law gives?
    """

    who: Who
    services: Sequence[str]
    categories: Sequence[str]
    consents: Sequence[datetime]
    by_law: bool


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language. `table` is the file's own; `zone` is where the municipality is."""

    version: str
    language: str
    status: str
    table: Mapping[str, Any]
    zone: ZoneInfo

    @property
    def direction(self) -> Direction:
        """How it is written."""
        found: Direction = self.table.get("direction", "ltr")
        return found

    def said(self, group: str, name: str, **values: object) -> str:
        """A text with its values filled in."""
        return Template(self.table[group][name]).substitute(values)

    def moment(self, moment: datetime, form: Literal["time", "date"] = "time") -> str:
        """A moment as it is written in this language, in local time."""
        there = moment.astimezone(self.zone)
        return Template(self.table[form]).substitute(
            day=there.day, month=self.table["months"][there.month - 1], year=there.year,
            hour=f"{there.hour:02}", minute=f"{there.minute:02}",
        )  # fmt: skip

    def listed(self, names: Iterable[str]) -> str:
        """`a`, `a and b`, `a, b and c`."""
        *first, last = names
        return f"{', '.join(first)} {self.table['and']} {last}" if first else last

    def category(self, id_: str, names: Mapping[str, str]) -> str:
        """A category in a sentence, with a small first letter: by its own words, by the directory's name, or its id."""
        found = self.table["names"].get(id_) or names.get(self.language) or names.get(FALLBACK) or id_
        return found if found[1:2].isupper() else found[:1].lower() + found[1:]

    def sentence(self, look: Mapping[str, Any], known: Known) -> str:
        """One look: when, who, what kind of thing, why, by what right, and what came of it."""
        at = datetime.fromisoformat(look["at"])
        refused = look["outcome"] == "refused"
        did = self._refused(look) if refused else self._did(look, known)
        parts = [self.said("says", "line", time=self.moment(at), who=self._who(look, known), did=did)]
        parts += [self._reason(look)] if refused else self._right(look, known)
        if look["count"] > 1:
            parts.append(self.said("says", "count", count=look["count"]))
        if look["held_back"] is not None:
            parts.append(self._held(look))
        return " ".join(parts)

    def ended(
        self, service: str | None, categories: Sequence[str], narrowed: Mapping[str, Any], *, confirmed: bool
    ) -> str:
        """What a withdrawal ends, and what it cannot: all of a service's (no category), some of it, or a part.

        service: None for every service's.

        categories: names in a sentence. narrowed: `staff`, and the days `back_to` and `until`.
        """
        what = self.listed(categories) if categories else ""
        state = self.said("ended", "confirmed" if confirmed else "pending")
        if service is None:
            told = [self.said("ended", "everything"), *([self.said("ended", "only", what=what)] if what else [])]
            return " ".join([*told, state, self.said("ended", "keeps-everything")])
        told = [self.said("ended", "staff", service=service)] if "staff" in narrowed else []
        for name, key in (("back_to", "back"), ("until", "until")):
            if name in narrowed:
                told.append(self.said("ended", key, service=service, date=self.moment(narrowed[name], "date")))
        if not narrowed:
            told = [self.said("ended", "category" if what else "whole", service=service, what=what)]
        elif what:
            told.append(self.said("ended", "only", what=what))
        return " ".join([*told, state, self.said("ended", "keeps", service=service)])

    def ended_for_person(self, categories: Sequence[str], *, confirmed: bool) -> str:
        """As `ended`, of a person whom the subject had let see; people are not named."""
        what, who = self.listed(categories) if categories else "", self.table["who"]["person"]
        told = self.said("ended", "category" if what else "whole", service=who, what=what)
        return f"{told} {self.said('ended', 'confirmed' if confirmed else 'pending')}"

    def _who(self, look: Mapping[str, Any], known: Known) -> str:
        names, role = self.table["who"], look["actor"]["role"]
        if known.who not in ("staff", "machine"):
            return str(names[known.who])
        if known.who == "staff" and role in _PLAIN_ROLES:
            return str(names[role])
        if not known.services:
            return str(names[f"{known.who}-alone"])
        name = role if known.who == "staff" and role in names else known.who
        return self.said("who", name, services=self.listed(known.services))

    def _did(self, look: Mapping[str, Any], known: Known) -> str:
        action = look["action"] or "none"
        template = self.table["routes"].get(look["route"]) or self.table["did"].get(action)
        if template is None or (not known.categories and "$what" in template):
            template = self.table["did"][f"{action}-all"]
        what = self.listed(known.categories) if known.categories else ""
        return Template(template).substitute(what=what)

    def _refused(self, look: Mapping[str, Any]) -> str:
        return str(self.table["refused"][look["action"] or "none"])

    def _reason(self, look: Mapping[str, Any]) -> str:
        reasons = self.table["reasons"]
        return self.said("says", "reason", reason=reasons.get(look["reason"]) or reasons["other"])

    def _right(self, look: Mapping[str, Any], known: Known) -> list[str]:
        purpose = self.table["purposes"].get(look["purpose"])
        parts = [] if purpose is None else [self.said("says", "purpose", purpose=purpose)]
        if known.who == "staff" and look["actor"]["role"] == OFFICER:
            parts.append(self.said("says", "officer"))
        if known.consents:
            days = dict.fromkeys(self.moment(day, "date") for day in sorted(known.consents))
            parts.append(self.said("says", "consent", date=self.listed(days)))
        elif known.by_law:
            parts.append(self.said("says", "by-law"))
        return parts

    def _held(self, look: Mapping[str, Any]) -> str:
        reason = look["held_back"] if look["held_back"] in _UNCERTAIN else "other"
        written = f"{reason}-contribute"
        return self.said("held", written if look["action"] == "contribute" and reason == "other" else reason)


def usable(data: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Words]:
    """The newest words of each language, an approved table before a draft. WordsInvalid when one lacks anything.

    Drafts are shown, and say that they are: these words explain, nobody agrees to anything by them.
    """
    found: dict[str, Words] = {}
    tables = data["words"]
    form = next((table for table in tables if table["language"] == FALLBACK), None)
    if form is None:
        raise WordsInvalid("there are no words in bokmål")
    for table in tables:
        _complete(form, table, table["language"])
        if table["status"] == "approved" and not table["approved_by"]:
            raise WordsInvalid(f"{table['language']}: approved words name who approved them")
        held = found.get(table["language"])
        made = Words(table["version"], table["language"], table["status"], table, zone)
        if held is None or _rank(held) <= _rank(made):
            found[made.language] = made
    return found


def frames(data: Mapping[str, Any], usable_: Mapping[str, Words], zone: ZoneInfo) -> dict[str, Words]:
    """The words around a consent text on a printed form, by language: those of `usable`, and languages that have these
    alone. WordsInvalid when one lacks anything."""
    form, found = usable_[FALLBACK].table["form"], dict(usable_)
    for table in data["form"]:
        language = table["language"]
        if language in usable_ or (table["status"] == "approved" and not table["approved_by"]):
            raise WordsInvalid(f"{language}: it has words already, or nobody who approved them")
        _complete(form, table["form"], f"{language}: form")
        digits = {"months": [f"{month:02}" for month in range(1, 13)], "names": {}}
        found[language] = Words(table["version"], language, table["status"], {**digits, **table}, zone)
    return found


def _rank(words: Words) -> tuple[bool, str]:
    return words.status == "approved", words.version


def _complete(form: Mapping[str, Any], table: Mapping[str, Any], place: str) -> None:
    """Every language says all that bokmål says, with the same things to fill in."""
    for name, one in form.items():
        other = table.get(name)
        where = f"{place}: {name}"
        if isinstance(one, dict):
            if not isinstance(other, dict):
                raise WordsInvalid(f"{where} is missing")
            _complete(one, other, where)
        elif not other and name != "approved_by":
            raise WordsInvalid(f"{where} is missing")
        elif isinstance(one, str) and _named(one) != _named(str(other)):
            raise WordsInvalid(f"{where} names other things")


def _named(template: str) -> set[str]:
    return set(Template(template).get_identifiers())


def pick(tables: Mapping[str, Words], *wishes: str | None) -> Words:
    """The first wish there are words for, else bokmål."""
    wanted = (language for wish in wishes if wish is not None for language in broader(wish))
    return next((tables[language] for language in wanted if language in tables), tables[FALLBACK])
