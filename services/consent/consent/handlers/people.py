"""People: found or made by a keyed hash of their number, never twice; names opened for those who may see them."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.keys import SubjectKeys
from consent import storage
from consent.model.births import Unborn
from consent.model.errors import RuleBroken, Unseen
from consent.model.national_id import NationalId, Series, accept
from consent.model.people import Claim, Identity, plain_name
from consent.model.registers import PLAIN
from consent.storage import NumberRow, PersonRow

_NAMES = "person.names"
_NUMBER = "person_number.number"
_CLAIM = "person_claim.said"


@dataclass(frozen=True, slots=True)
class Registry:
    """Looks people up. keys: seals under each person's own key. secret: keys the hash of numbers. series: whose test
    numbers are taken, instead of real ones."""

    keys: SubjectKeys
    secret: bytes
    series: frozenset[Series]

    def accept(self, number: str, today: date) -> NationalId:
        """A valid number of the kind that this installation takes; InvalidNationalId, NationalIdNotAccepted."""
        return accept(number, today, self.series)

    def hash(self, number: NationalId) -> bytes:
        """32 bytes by which a number is found; without the secret it cannot be guessed from them."""
        return hmac.new(self.secret, number.number.encode(), hashlib.sha256).digest()

    async def find_or_add(
        self, conn: AsyncConnection, claims: Sequence[Claim], source: str, now: datetime
    ) -> list[PersonRow]:
        """One person per claim, in the order of the claims.

        Somebody already known stays as they are, whatever the claim says: who asks must not be able to make a child
        older, and must not learn from the answer that the person was known. What was said is kept beside it, sealed.
        """
        hashes = [self.hash(claim.number) for claim in claims]
        await storage.lock_numbers(conn, hashes)
        found = []
        for claim, hash_ in zip(claims, hashes, strict=True):
            row = await storage.person_by_hash(conn, hash_)
            if row is None:
                row = await self._add(conn, claim, hash_, source, now)
            else:
                said = json.dumps([claim.given_name, claim.family_name, claim.birth_date.isoformat()])
                await storage.add_claim(conn, row.id, source, await self.keys.seal(row.id, said, _CLAIM), now)
            found.append(row)
        return found

    async def _add(self, conn: AsyncConnection, claim: Claim, hash_: bytes, source: str, now: datetime) -> PersonRow:
        values = await self._person(claim, source, now)
        id_, sealed = values["id"], values["names"]
        number = {
            "hash": hash_, "number": await self._sealed(id_, claim.number), "kind": claim.number.kind,
            "synthetic": claim.number.synthetic, "source": source, "since": now,
        }  # fmt: skip
        await storage.add_person(conn, values, number)
        return PersonRow(id_, sealed, claim.birth_date, claim.language)

    async def expected(
        self, conn: AsyncConnection, mother: PersonRow, family_name: str, unborn: Unborn, source: str, now: datetime
    ) -> PersonRow:
        """Whom this mother expects; made if nobody is known to be. One record for each pregnancy, whatever due date is
        said later. The caller holds the lock on the mother's number (`find_or_add`)."""
        known = await storage.expected_by(conn, mother.id)
        if known is not None:
            said = json.dumps(["", family_name, unborn.due.isoformat()])
            await storage.add_claim(conn, known.id, source, await self.keys.seal(known.id, said, _CLAIM), now)
            return known
        id_ = str(uuid4())
        sealed = await self.names(id_, "", family_name)
        values = {
            "id": id_, "names": sealed, "due_date": unborn.due, "birth_source": source,
            "language": mother.language, "created_at": now,
        }  # fmt: skip
        await storage.add_person(conn, values)
        return PersonRow(id_, sealed, unborn, mother.language)

    async def names(self, person: str, given: str, family: str) -> bytes:
        """Somebody's names, sealed with their key."""
        return await self.keys.seal(person, json.dumps([plain_name(given), plain_name(family)]), _NAMES)

    async def _person(self, claim: Claim, source: str, now: datetime) -> dict[str, Any]:
        id_ = str(uuid4())
        return {
            "id": id_, "names": await self.names(id_, claim.given_name, claim.family_name),
            "birth_date": claim.birth_date, "birth_source": source, "language": claim.language, "created_at": now,
        }  # fmt: skip

    async def begin(self, conn: AsyncConnection, claim: Claim, source: str, now: datetime) -> str:
        """A record for somebody whose numbers stand on another's, and are moved to it by the caller."""
        values = await self._person(claim, source, now)
        await storage.add_person(conn, values)
        return str(values["id"])

    async def match(self, conn: AsyncConnection, number: str, today: date) -> str:
        """The id of the person whose number this is now; Unseen when there is none, when the number is none or no
        longer theirs, and where a register has said that the person is dead or the record is of two people."""
        try:
            hash_ = self.hash(self.accept(number, today))
        except RuleBroken as error:
            raise Unseen from error
        in_use = [row.person for row in await storage.numbers_by_hash(conn, [hash_]) if row.in_use]
        standings = await storage.standings_of(conn, in_use)
        for person in in_use:
            if not standings.get(person, PLAIN).over:
                return person
        raise Unseen

    async def find(self, conn: AsyncConnection, number: NationalId) -> str | None:
        """Who has or had this number, if they are known."""
        found = await storage.person_by_hash(conn, self.hash(number))
        return None if found is None else found.id

    async def add_number(
        self, conn: AsyncConnection, person: str, number: NationalId, source: str, now: datetime, *, in_use: bool
    ) -> None:
        """Another number of somebody known: found by its hash, sealed with their key."""
        values = {
            "hash": self.hash(number), "person": person, "number": await self._sealed(person, number),
            "kind": number.kind, "synthetic": number.synthetic, "source": source, "since": now,
            "until": None if in_use else now,
        }  # fmt: skip
        await storage.add_number(conn, values)

    async def move_number(self, conn: AsyncConnection, person: str, number: NationalId) -> None:
        """The number belongs to another record than it did."""
        await storage.move_number(conn, self.hash(number), person, await self._sealed(person, number))

    async def _sealed(self, person: str, number: NationalId) -> bytes:
        return await self.keys.seal(person, number.number, _NUMBER)

    async def unsealed(self, row: NumberRow, today: date) -> NationalId:
        """The number in the clear; KeyGone when the person's key was destroyed."""
        return self.accept(await self.keys.open(row.person, row.number, _NUMBER), today)

    async def identity(self, conn: AsyncConnection, person: str) -> Identity:
        """Names and birth date; Unseen when nobody is known by this id, KeyGone when the key was destroyed."""
        row = await storage.person_by_id(conn, person)
        if row is None:
            raise Unseen
        given, family = json.loads(await self.keys.open(row.id, row.names, _NAMES))
        return Identity(given or None, family, row.born)
