"""What a person register says: its events, the documents they point to, and what follows of it for what may be shown.

The shape is that of the National Population Register's feed (domain report 3.3): numbered events without content, each
pointing to a person's whole document of today. Effects come from the document, so an event that comes late or twice
does no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar, get_args

import msgspec

from consent.model.facts import Responsibility, fits

NEW_NUMBER = "endringIIdentifikasjonsnummer"
MERGED = "personErSammenslaatt"
SPLIT = "personErSplittet"
RESPONSIBILITY = "endringIForeldreansvar"
GUARDIANSHIP = "endringIVergemaal"
PROTECTION = "endringIAdressebeskyttelse"
DEATH = "personErDoed"
BIRTH = "personErFoedt"
HEEDED = frozenset({NEW_NUMBER, MERGED, SPLIT, RESPONSIBILITY, GUARDIANSHIP, PROTECTION, DEATH, BIRTH})
"""The register's own words, but for birth, merged and split, which its adapter tells from the documents. Events of
other types are passed over."""

Grade = Literal["ugradert", "klientadresse", "fortrolig", "strengtFortrolig"]
"""Adressegradering, the laxest first."""
GRADES: tuple[Grade, ...] = get_args(Grade)
STRICT: Grade = "strengtFortrolig"
Mandate = Literal["personal", "economic"]
_LONGEST_ID = 64
_S = TypeVar("_S", bound=msgspec.Struct)


class Unreadable(ValueError):
    """An event or a document that cannot be used. Its text is a code and holds nothing of it."""


class Event(msgspec.Struct, frozen=True):
    """One event: its number in the register, what it is about, and under which key the document is found."""

    sequence: int
    type: str
    document: str


class Number(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A national id, and whether it is still the person's."""

    number: str
    in_use: bool

    def __repr__(self) -> str:
        return "Number()"


class Named(msgspec.Struct, frozen=True):
    """Somebody whom a document names."""

    number: str
    given_name: str
    family_name: str
    birth_date: date
    language: str = "nb"

    def __repr__(self) -> str:
        return "Named()"


class Holding(msgspec.Struct, frozen=True):
    """Parental responsibility for the person: its kind, from which day, and who holds it."""

    type: Responsibility
    since: date
    holders: tuple[Named, ...] = ()


class Guardian(msgspec.Struct, frozen=True):
    """A guardian of an adult (verge), and what the mandate is about."""

    person: Named
    mandate: tuple[Mandate, ...]


class Document(msgspec.Struct, frozen=True):
    """A person as the register knows them now. version: grows with every change of the document.

    guardianship None: not told; empty: there is none. parts: of a record that was split, one document for each person.
    mother: who gave birth to the person, where the register tells it.
    """

    version: int
    numbers: tuple[Number, ...]
    given_name: str
    family_name: str
    birth_date: date
    language: str = "nb"
    protection: Grade = "ugradert"
    death: date | None = None
    responsibility: Holding | None = None
    guardianship: tuple[Guardian, ...] | None = None
    guardianship_since: date | None = None
    parts: tuple["Document", ...] = ()
    mother: Named | None = None

    def __repr__(self) -> str:
        return f"Document(version={self.version})"

    def named(self) -> Named:
        """The person as another document would name them, by the number in use; Unreadable without exactly one."""
        used = [one.number for one in self.numbers if one.in_use]
        if len(used) != 1:
            raise Unreadable("numbers-in-use")
        return Named(used[0], self.given_name, self.family_name, self.birth_date, self.language)


def event(raw: bytes) -> Event:
    """An event as it came; Unreadable."""
    found = _read(raw, Event, "event-unreadable")
    if found.sequence < 1 or len(found.document) > _LONGEST_ID or not found.document.isalnum():
        raise Unreadable("event-unreadable")
    return found


def document(raw: bytes) -> Document:
    """A document as it came; Unreadable where it does not say what it must."""
    found = _read(raw, Document, "document-unreadable")
    if not found.numbers:
        raise Unreadable("document-unreadable")
    held = found.responsibility
    if held is not None and not fits(held.type, len({one.number for one in held.holders})):
        raise Unreadable("holders-do-not-fit")
    return found


def _read(raw: bytes, kind: type[_S], reason: str) -> _S:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unreadable(reason) from None  # what it says of the value would be personal data


@dataclass(frozen=True, slots=True)
class Standing:
    """What a register has said of a person, beside what the law table takes.

    closed: a record that turned out to be of two people. same_as: whose record it was merged into. ended: of a
    pregnancy, told by a professional.
    """

    protection: Grade = "ugradert"
    dead: bool = False
    closed: bool = False
    same_as: str | None = None
    ended: bool = False

    @property
    def over(self) -> bool:
        """Does nobody see or decide anything about, or as, this person any more?"""
        return self.dead or self.closed or self.ended

    @property
    def protected(self) -> bool:
        """May not everybody know where this person is?"""
        return self.protection != GRADES[0]


PLAIN = Standing()
"""Of whom no register has said anything."""
Standings = Mapping[str, Standing]
"""By person; whoever is missing is PLAIN."""


def outside(standings: Standings, subject: str, person: str) -> bool:
    """May this private party not know where the subject is? Whoever is protected as strictly themselves may: those who
    are hidden together."""
    if person == subject:
        return False
    hidden, own = standings.get(subject, PLAIN).protection, standings.get(person, PLAIN).protection
    return GRADES.index(own) < GRADES.index(hidden)


def barred(standings: Standings, subject: str, person: str) -> bool:
    """Is this person not asked about the subject? The form itself tells where somebody is to be found."""
    gone = standings.get(person, PLAIN)
    return gone.over or gone.same_as is not None or outside(standings, subject, person)
