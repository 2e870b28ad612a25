"""Who looked: the ledger read by those whom it is about, cut for each reader and told in plain words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.keys import KeyGone, SubjectKeys
from chassis.permit import Actor, Kept, Permit
from consent import storage
from consent.handlers.tables import current_words
from consent.model import looks as rules
from consent.model.errors import Unseen
from consent.model.law import PARTICIPANTS, SYSTEM_CATEGORIES
from consent.model.looks import NOTHING_HIDDEN, Effect, Hidden, Told, Wanted
from consent.model.words import Known, Who, Words, pick
from consent.storage import LookRow, Names, QuestionRow

TEXT, ANSWER = "question.text", "question.answer"
"""Where a question and its answer are sealed."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some looks, the newest first, the one to go on from (None: that was all), and the words they are told in."""

    items: list[dict[str, Any]]
    next: str | None
    words: Words


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads. allowed: the reader's own categories. told: every grant by consent. known: those that the reader may
    know of; None: all of them. kept: what is kept from the reader. hidden: for the subject, what was kept when."""

    actor: Actor
    subject: str
    is_subject: bool
    allowed: frozenset[str]
    told: Mapping[str, Told]
    known: frozenset[str] | None
    kept: Kept | None = None
    hidden: Hidden = NOTHING_HIDDEN

    def may_know(self) -> Mapping[str, Told]:
        """The grants that this reader may know of."""
        return self.told if self.known is None else {id_: self.told[id_] for id_ in self.known if id_ in self.told}

    def shown(self, row: LookRow, made: Mapping[str, Sequence[Effect]]) -> dict[str, Any]:
        """The look as this reader is shown it. made: by look, what it made or changed."""
        look = rules.item(row.canonical, row.held, row.actor)
        effects = made.get(look["id"], ())
        if self.is_subject or (row.actor is not None and row.actor == self.actor.id):
            if self.is_subject and row.actor != self.subject:
                look = self.hidden.taken_from(look, self.told)
            return {**rules.narrowed(look, self.told, strict=False), "made": rules.made(effects)}
        known = self.may_know()
        left = rules.cut(rules.narrowed(look, known, strict=self.known is not None), self.allowed, known)
        return {**left, "made": rules.made(effects, look["categories"], left["categories"])}


async def reader_of(conn: AsyncConnection, permit: Permit, actor: Actor) -> Reader:
    """What decides what is shown.

    The subject sees every look and refusal. Another reader sees their own, and those of services that touched a
    category the reader may see, under a grant the reader was asked about (or any, if the reader may know who takes
    part), with only those categories and grants, and only the services those are for: neither that the youth looked,
    nor that a service takes part in secret. Of what is kept from them no look tells: neither one at nothing else, nor
    one that made it.
    """
    is_subject = actor.kind == "person" and actor.id == permit.subject
    allowed = permit.categories() - set(SYSTEM_CATEGORIES)
    told = await storage.grants_told(conn, permit.subject)
    known = None
    if not is_subject and PARTICIPANTS not in allowed:
        known = frozenset(await storage.grants_known_to(conn, permit.subject, actor.id or ""))
    hidden = Hidden.of(await storage.kept_since(conn, permit.subject)) if is_subject else NOTHING_HIDDEN
    return Reader(actor, permit.subject, is_subject, allowed, told, known, permit.kept, hidden)


async def looks(
    conn: AsyncConnection, keys: SubjectKeys, permit: Permit, actor: Actor, wanted: Wanted, before: str | None,
    limit: int, wishes: Sequence[str],
) -> Page:  # fmt: skip
    """Looks at the subject as this reader is shown them. A filter looks only at what is shown (see `Reader`)."""
    reader = await reader_of(conn, permit, actor)
    rows = await _rows(conn, reader, wanted, before, limit + 1)
    made = await storage.made_by(conn, reader.subject, [row.id for row in rows[:limit]])
    words = await words_for(conn, actor, wishes)
    items = await _dressed(conn, keys, reader, [reader.shown(row, made) for row in rows[:limit]], words)
    return Page(items, items[-1]["id"] if len(rows) > limit else None, words)


async def look(conn: AsyncConnection, permit: Permit, actor: Actor, id_: str) -> dict[str, Any]:
    """One look as this reader is shown it; Unseen when the reader is not."""
    reader = await reader_of(conn, permit, actor)
    rows = await _rows(conn, reader, Wanted(), None, 1, only=id_)
    if not rows:
        raise Unseen
    return reader.shown(rows[0], {})


async def _rows(
    conn: AsyncConnection, reader: Reader, wanted: Wanted, before: str | None, limit: int, only: str | None = None
) -> list[LookRow]:
    return await storage.looks(
        conn, reader.subject, wanted, reader=None if reader.is_subject else reader.actor.id or "",
        categories=reader.allowed, known=reader.known, told=reader.told, kept=reader.kept, before=before, limit=limit,
        only=only,
    )  # fmt: skip


async def words_for(conn: AsyncConnection, actor: Actor, wishes: Sequence[str]) -> Words:
    """Words in the reader's own language, else in one that the request asks for."""
    person = await storage.person_by_id(conn, actor.id) if actor.kind == "person" and actor.id else None
    return pick(current_words(), person.language if person else None, *wishes)


async def _dressed(
    conn: AsyncConnection, keys: SubjectKeys, reader: Reader, items: list[dict[str, Any]], words: Words
) -> list[dict[str, Any]]:
    """Each look with its sentence, made of what is shown of it and nothing else, and what the reader asked about it."""
    names, guardians = await storage.directory_names(conn), await storage.guardians(conn, reader.subject)
    questions: dict[str, dict[str, Any]] = {}
    if reader.actor.kind == "person" and reader.actor.id is not None:
        asked = await storage.questions_by(conn, reader.actor.id, [item["id"] for item in items])
        questions = await _opened(keys, reader.subject, asked)
    told = reader.may_know()
    return [
        {
            **item,
            "text": words.sentence(item, _known(item, reader, told, guardians, names, words)),
            "question": questions.get(item["id"]),
        }
        for item in items
    ]


def _known(
    item: Mapping[str, Any], reader: Reader, told: Mapping[str, Told], guardians: Mapping[str, bool], names: Names,
    words: Words,
) -> Known:  # fmt: skip
    actor, consents = item["actor"], [told[grant].begins for grant in item["grants"] if grant in told]
    return Known(
        who(actor["kind"], actor["id"], reader.actor.id, reader.subject, guardians),
        [named(names.services, service, words) for service in actor["services"]],
        [words.category(category, names.categories.get(category, {})) for category in item["categories"]],
        consents, by_law=actor["kind"] == "person" and item["basis"] == "grant" and not consents,
    )  # fmt: skip


def who(
    kind: Literal["person", "staff", "machine"], id_: str | None, reader: str | None, subject: str,
    guardians: Mapping[str, bool],
) -> Who:  # fmt: skip
    """Whom a sentence speaks of. People are never named: what they are to the log says enough."""
    if kind != "person":
        return kind
    if id_ is not None and id_ == reader:
        return "you"
    if id_ == subject:
        return "subject"
    return "guardian" if id_ in guardians else "person"


def named(names: Mapping[str, Mapping[str, str]], id_: str, words: Words) -> str:
    """What the directory calls it in this language, in bokmål where it has no other name, else its id."""
    known = names.get(id_, {})
    return known.get(words.language) or known.get("nb") or id_


async def _opened(keys: SubjectKeys, subject: str, asked: Mapping[str, QuestionRow]) -> dict[str, dict[str, Any]]:
    """Questions by look, as their asker reads them; none when their key was destroyed."""
    if not asked:
        return {}
    try:
        opened = await keys.opener(subject)
        return {look_: asked_view(row, opened(row.text, TEXT), _answer(row, opened)) for look_, row in asked.items()}
    except KeyGone:
        return {}


def _answer(row: QuestionRow, opened: Callable[[bytes, str], str]) -> str | None:
    return None if row.answer is None else opened(row.answer, ANSWER)


def asked_view(row: QuestionRow, text: str, answer: str | None) -> dict[str, Any]:
    """A question with its texts and how far it has come."""
    return {
        "id": row.id, "service": row.service, "state": "open" if row.answered_at is None else "answered", "text": text,
        "asked_at": rfc3339(row.asked_at), "answer": answer,
        "answered_at": None if row.answered_at is None else rfc3339(row.answered_at),
    }  # fmt: skip
