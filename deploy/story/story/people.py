"""Synthetic people: a family that exists nowhere, with valid synthetic national ids and fitting birth dates."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

FIRST_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2)
SECOND_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
SYNTHETIC_MONTH = 80

GIVEN = ("Aslaug", "Birk", "Eline", "Finn", "Ingvild", "Jon", "Kari", "Liv", "Nils", "Oda", "Sigrid", "Tor", "Vilde")
FAMILY = ("Prøvedal", "Testvik", "Syntetberg", "Eksempelstad", "Tenorlund", "Øvelsen")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody synthetic. The national id is what the provider says at log-in; it is printed nowhere."""

    national_id: str
    given_name: str
    family_name: str
    birth_date: date
    language: str

    def asked_as(self) -> dict[str, str]:
        """The person as a request for consent names them."""
        return {
            "national_id": self.national_id,
            "given_name": self.given_name,
            "family_name": self.family_name,
            "birth_date": self.birth_date.isoformat(),
            "language": self.language,
        }


@dataclass(frozen=True, slots=True)
class Family:
    """A youth and two holders of parental responsibility."""

    youth: Person
    mother: Person
    father: Person


def national_id(born: date, individual: int) -> str | None:
    """The synthetic number (month +80) for a date and three individual digits; None where no control digit exists.

    Source: the weights and the synthetic series of the national registry (domain.md 3.2).
    """
    digits = [int(c) for c in f"{born.day:02}{born.month + SYNTHETIC_MONTH:02}{born.year % 100:02}{individual:03}"]
    for weights in (FIRST_WEIGHTS, SECOND_WEIGHTS):
        control = -sum(w * d for w, d in zip(weights, digits, strict=True)) % 11
        if control == 10:
            return None
        digits.append(control)
    return "".join(map(str, digits))


def valid(number: str) -> bool:
    """Eleven digits whose control digits are right by the rule in force before 2032."""
    if len(number) != 11 or not number.isdigit():
        return False
    digits = [int(c) for c in number]
    first = sum(w * d for w, d in zip((*FIRST_WEIGHTS, 1), digits, strict=False))
    second = sum(w * d for w, d in zip((*SECOND_WEIGHTS, 1), digits, strict=True))
    return first % 11 == 0 and second % 11 == 0


def birth_date(age: int, today: date, since_birthday: int) -> date:
    """A date that makes somebody `age` years old, `since_birthday` days after the birthday (at most 360)."""
    day = today - timedelta(days=since_birthday)
    return date(day.year - age, day.month, min(day.day, 28))


def new_family(today: date, chance: random.Random) -> Family:
    """A family that no earlier run made: fifteen-year-old youth, two guardians in their forties."""
    surname, names = chance.choice(FAMILY), chance.sample(GIVEN, 3)
    return Family(
        youth=_person(names[0], surname, birth_date(15, today, chance.randint(30, 300)), "nb", chance),
        mother=_person(names[1], surname, birth_date(43, today, chance.randint(30, 300)), "nb", chance),
        father=_person(names[2], surname, birth_date(45, today, chance.randint(30, 300)), "nn", chance),
    )


def _person(given: str, surname: str, born: date, language: str, chance: random.Random) -> Person:
    # The individual digits tell the century: 500-999 for those born from 2000 on, 000-499 for those before.
    numbers = range(500, 1000) if born.year >= 2000 else range(500)
    for individual in chance.sample(numbers, len(numbers)):
        number = national_id(born, individual)
        if number is not None:
            return Person(number, given, surname, born, language)
    raise AssertionError("every date has numbers with control digits")
