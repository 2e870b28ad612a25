"""Looks as they are shown: made of the ledger's records, narrowed and cut for each reader; and what is asked for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from consent.model.own_say import KeepingWord

_SERVICE = "service:"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which looks are asked for; None: whichever. From `begins` on, until just before `ends`."""

    service: str | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    action: Literal["read", "contribute", "none"] | None = None
    outcome: Literal["answered", "refused"] | None = None

    def scope(self) -> str:
        """One text for each filter: a cursor belongs to the list it was made for."""
        times = ["" if moment is None else moment.isoformat() for moment in (self.begins, self.ends)]
        return " ".join([self.service or "", *times, self.action or "", self.outcome or ""])


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a grant by consent: who may, what, and since when."""

    recipient: str
    categories: frozenset[str]
    begins: datetime


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write made or changed: the event's type, the item (None: the log itself) and the item's category.

    above: ids and categories of what the item stands under.
    """

    type: str
    item: str | None
    category: str | None
    above: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hidden:
    """Which whole categories were kept from those who see by law, and in which times: since, until (None: still)."""

    times: tuple[tuple[str, datetime, datetime | None], ...] = ()

    @classmethod
    def of(cls, steps: Iterable[tuple[KeepingWord, datetime]]) -> "Hidden":
        """From each step about a category, with the moment from which every gateway knew of it."""
        begun: dict[str, tuple[str, datetime]] = {}
        times: list[tuple[str, datetime, datetime | None]] = []
        for word, at in steps:
            if word.word in ("asked", "set"):
                begun.setdefault(word.keeping, (word.category, at))
            elif word.word in ("lifted", "turned-down") and word.keeping in begun:
                times.append((*begun.pop(word.keeping), at))
        return cls((*times, *((category, since, None) for category, since in begun.values())))

    def taken_from(self, look: dict[str, Any], told: Mapping[str, Told]) -> dict[str, Any]:
        """Somebody else's look without the categories that were kept from them when they looked.

        The record says what they were let look at; of a category that was kept, that was nothing but their own words.
        What the subject had granted to them they saw.
        """
        if look["actor"]["kind"] != "person" or not self.times:
            return look
        at = datetime.fromisoformat(look["at"])
        granted = {category for id_ in look["grants"] if id_ in told for category in told[id_].categories}
        kept = {name for name, since, until in self.times if since <= at and (until is None or at < until)} - granted
        return {**look, "categories": [name for name in look["categories"] if name not in kept]}


NOTHING_HIDDEN = Hidden()


def item(canonical: bytes, held: bytes | None, actor: str | None) -> dict[str, Any]:
    """A look from its record and from the record that took it back. actor: who it was; the record has a pseudonym."""
    record = json.loads(canonical)["record"]
    by = record["actor"]
    who = {
        "kind": by["kind"], "id": actor, "services": by.get("services", []), "role": by.get("role"),
        "agency": by.get("agency"),
    }  # fmt: skip
    taken_back = None if held is None else json.loads(held)["record"].get("reason") or "held-back"
    return {
        "id": record["id"], "kind": "look", "at": record["at"], "actor": who, "route": record.get("route"),
        "action": record.get("action"), "categories": record["categories"], "grants": record.get("grants", []),
        "basis": record.get("basis"), "purpose": record.get("purpose"), "outcome": record["outcome"],
        "reason": record.get("reason"), "count": record.get("count", 1), "held_back": taken_back,
        "manner": record.get("manner"), "behalf": _behalf(record),
    }  # fmt: skip


def _behalf(record: Mapping[str, Any]) -> Literal["subject", "other"] | None:
    """For whom the actor only registered a word; whoever else that was is not told."""
    if record.get("on_behalf_of") is None:
        return None
    return "subject" if record["on_behalf_of"] == record["subject"] else "other"


def searched(kind: str, record: Mapping[str, Any]) -> tuple[str | None, str | None, str | None, str | None]:
    """What a look is searched by: time, services joined by commas, action and outcome. None for other records."""
    if kind != "look":
        return None, None, None, None
    services = record.get("actor", {}).get("services") or ()
    return record.get("at"), ",".join(str(one) for one in services), record.get("action"), record.get("outcome")


def narrowed(look: dict[str, Any], told: Mapping[str, Told], *, strict: bool) -> dict[str, Any]:
    """The look with the services in whose name it was taken: those that its grants are for.

    Somebody may work for several services; that one of them looked says nothing of the others. Without a grant that
    says which, all of them stay, unless `strict`: then none.
    """
    named = {told[grant].recipient.removeprefix(_SERVICE) for grant in look["grants"] if grant in told}
    services = [service for service in look["actor"]["services"] if service in named]
    if not services and not strict:
        return look
    return {**look, "actor": {**look["actor"], "services": services}}


def cut(look: dict[str, Any], allowed: frozenset[str], told: Mapping[str, Told]) -> dict[str, Any]:
    """Only the reader's categories, and the grants that speak of one of them."""
    return {
        **look,
        "categories": [category for category in look["categories"] if category in allowed],
        "grants": [id_ for id_ in look["grants"] if id_ in told and told[id_].categories & allowed],
    }


def made(
    effects: Sequence[Effect], touched: Sequence[str] | None = None, left: Sequence[str] = ()
) -> list[dict[str, str | None]]:
    """What a look made or changed, as it is told.

    touched, left: the look's categories before and after its cut; None: it is shown whole. Of a look that was cut, only
    items of the categories that are left are told, and nothing of the log itself: it belongs to all of them.
    """
    whole = touched is None or set(touched) <= set(left)
    return [
        {"what": effect.type.rpartition(".")[0].replace(".", "-"), "item": effect.item}
        for effect in effects
        if touched is None or (whole if effect.category is None else effect.category in left)
    ]
