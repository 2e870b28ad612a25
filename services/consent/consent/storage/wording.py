"""Queries about which grants rest on which version of a consent text, and how it reached those who gave them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, String, Uuid, cast, column, func, literal_column, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.storage.tables import answer, grants


class Resting(NamedTuple):
    """A text that grants rest on, and the recipient and purpose of such grants."""

    version: str
    language: str
    recipient: str
    purpose: str


class TextCount(NamedTuple):
    """How many live grants, about how many people, rest on a text; of those the ones that a change concerns, and how
    many people have one that it does not concern."""

    version: str
    language: str
    grants: int
    people: int
    concerned: int
    concerned_people: int
    spared_people: int


class GrantOn(NamedTuple):
    """A live grant that rests on a text. `request` says where its answers were given."""

    id: str
    subject: str
    request: str
    recipient: str
    purpose: str


class Given(NamedTuple):
    """One person's yes behind a grant, and how the text of it reached them."""

    grant: str
    person: str
    capacity: str
    at: datetime
    assurance: str
    version: str | None
    language: str | None
    conveyed: str | None
    by: str | None
    into: str | None


def _given(*columns: Any) -> Select[Any]:
    """Grants with each person who gave them and each of that person's answers."""
    person = func.jsonb_array_elements(grants.c.granted_by, type_=JSONB).table_valued(column("value", JSONB)).alias("p")
    number = func.jsonb_array_elements(person.c.value["answers"]).table_valued(column("value", JSONB)).alias("n")
    return (
        select(*columns)
        .select_from(grants)
        .join(person, literal_column("true"))
        .join(number, literal_column("true"))
        .join(answer, answer.c.seq == cast(number.c.value, Integer))
    )


def _live(query: Select[Any], now: int) -> Select[Any]:
    return query.where(
        grants.c.ended.is_(None), or_(grants.c.ends.is_(None), grants.c.ends > now), answer.c.text_version.is_not(None)
    )


_RESTING = (answer.c.text_version, answer.c.language, grants.c.recipient, grants.c.purpose)


async def resting(conn: AsyncConnection, now: int) -> list[Resting]:
    """Every text that a live grant rests on, with each recipient and purpose."""
    rows = await conn.execute(_live(_given(*_RESTING), now).distinct().order_by(*_RESTING))
    return [Resting(*row) for row in rows]


async def count_resting(conn: AsyncConnection, concerned: Iterable[Resting], now: int) -> list[TextCount]:
    """Live grants by text; `concerned`: which of them a change matters to."""
    touched = tuple_(*_RESTING).in_([tuple(one) for one in concerned])
    ids, people = grants.c.id.distinct(), grants.c.subject.distinct()
    query = _given(
        answer.c.text_version, answer.c.language, func.count(ids), func.count(people),
        func.count(ids).filter(touched), func.count(people).filter(touched), func.count(people).filter(~touched),
    )  # fmt: skip
    text = (answer.c.text_version, answer.c.language)
    return [TextCount(*row) for row in await conn.execute(_live(query, now).group_by(*text).order_by(*text))]


async def grants_on(
    conn: AsyncConnection, texts: Sequence[Resting], after: str | None, limit: int, now: int
) -> list[GrantOn]:
    """Live grants that rest on one of these, by id; after: the last id seen."""
    query = _live(_given(*(grants.c[name] for name in GrantOn._fields)), now).where(
        tuple_(*_RESTING).in_([tuple(one) for one in texts])
    )
    if after is not None:
        query = query.where(grants.c.id > after)
    return [GrantOn(*row) for row in await conn.execute(query.distinct().order_by(grants.c.id).limit(limit))]


async def given_for(conn: AsyncConnection, ids: Iterable[str]) -> list[Given]:
    """The evidence of these grants: each person's answers, equal ones once."""
    person = literal_column("p.value ->> 'person'", String)
    capacity = literal_column("p.value ->> 'capacity'", String)
    query = _given(
        grants.c.id, person, capacity, answer.c.at, answer.c.assurance, answer.c.text_version, answer.c.language,
        answer.c.conveyed, answer.c.conveyed_by, answer.c.conveyed_into,
    ).where(grants.c.id.in_([cast(id_, Uuid(as_uuid=False)) for id_ in ids]))  # fmt: skip
    rows = await conn.execute(query.distinct().order_by(grants.c.id, person, answer.c.at))
    return [Given(*row) for row in rows]
