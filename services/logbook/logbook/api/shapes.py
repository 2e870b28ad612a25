"""What a reader gets: the representation, cut to the permit, and its entity tag."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from chassis.clock import rfc3339
from chassis.http import etag
from chassis.permit import Permit, Signed
from chassis.problems import Problem
from logbook import model
from logbook.model import Author, Holder, Item, LevelChange, LogView

_WITH_TITLE = frozenset({model.GOAL, model.MEASURE, model.MEETING})


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a representation is for: the permit, and the services the reader works for."""

    permit: Permit
    own: Collection[str]

    def knows(self, holder: str | None, service: str | None) -> bool:
        """May this reader be told that `service` takes part?"""
        return model.service_is_known(self.permit, self.own, holder or "", service)


def reader_of(signed: Signed) -> Reader:
    """The reader behind a signed request; not-found without a permit."""
    return Reader(signed.content(), signed.actor.services)


def item_body(reader: Reader, item: Item) -> dict[str, Any]:
    """One item. Goals and measures that the permit does not leave are not mentioned, nor services that are hidden."""
    body: dict[str, Any] = {
        "id": item.id,
        "kind": item.kind,
        "category": item.category,
        "at": rfc3339(item.at),
        "by": _by(reader, item.holder, item.by),
        "title" if item.kind in _WITH_TITLE else "text": item.title if item.kind in _WITH_TITLE else item.text,
    }
    if item.kind == model.MEASURE:
        kind, _, name = (item.responsible or "").partition(":")
        hidden = kind == "service" and not reader.knows(item.holder, name)
        body |= {
            "goal": _mentioned(reader.permit, item.goal),
            "state": item.state,
            "responsible": None if hidden else item.responsible,
            "accepted": item.accepted_at is not None,
            "evaluate_on": item.evaluate_on and item.evaluate_on.isoformat(),
        }
    if item.kind == model.EVALUATION:
        body |= {"measure": _mentioned(reader.permit, item.measure), "outcome": item.outcome}
    if item.kind == model.MEETING:
        body |= {"state": item.state, "meet_at": item.meet_at and rfc3339(item.meet_at)}
        body["place"] = None if reader.permit.masked else item.place
    return body


def log_body(reader: Reader, view: LogView) -> dict[str, Any]:
    """The log. Earlier holders, participants and an offer are shown only to those who may know who takes part."""
    permit, log = reader.permit, view.log
    body: dict[str, Any] = {
        "id": log.id,
        "plan_type": log.plan_type,
        "guide": None if permit.masked else log.guide,
        "level": log.level,
        "levels": [_level(reader, log.holder.service, change) for change in view.levels],
        "holder": {**_turn(reader, log.holder), "acting": view.acting},
        "holders": [
            {**_turn(reader, turn), "until": None if turn.until is None else rfc3339(turn.until)}
            for turn in view.holders
        ],
        "goals": [item_body(reader, goal) for goal in view.goals],
        "measures": [item_body(reader, measure) for measure in view.measures],
        "complete": view.complete,
        "next_evaluation": view.next_evaluation and view.next_evaluation.isoformat(),
        "next_meeting": view.next_meeting and item_body(reader, view.next_meeting),
    }
    if view.offer is not None and reader.knows(None, view.offer.to_service):
        body["handover"] = {"to_service": view.offer.to_service, "offered_at": rfc3339(view.offer.at)}
    if permit.allows(model.PARTICIPANTS) and not permit.masked:
        body["participants"] = _participants(view)
    return body


def _level(reader: Reader, holder: str, change: LevelChange) -> dict[str, Any]:
    body: dict[str, Any] = {
        "level": change.level,
        "at": rfc3339(change.at),
        "guide_version": change.guide_version,
        "by": _by(reader, holder, change.by),
    }
    if model.reason_is_seen(reader.permit, change):
        body |= {"reason": change.reason, "categories": list(change.categories)}
    return body


def _participants(view: LogView) -> list[dict[str, Any]]:
    """One line for each who takes part in content, with the earliest of its live grants."""
    since: dict[str, str] = {}
    for found in view.participants:
        if model.takes_part([found], found.recipient):
            since.setdefault(found.recipient, rfc3339(found.since))
    lines = []
    for recipient, moment in since.items():
        kind, _, name = recipient.partition(":")
        lines.append({"kind": kind, "id": name, "since": moment})
    return lines


def _turn(reader: Reader, turn: Holder) -> dict[str, Any]:
    known = reader.knows(turn.service, turn.service)
    return {
        "service": turn.service if known else None, "staff": turn.staff if known else None,
        "since": rfc3339(turn.since),
    }  # fmt: skip


def _by(reader: Reader, holder: str | None, by: Author) -> dict[str, Any]:
    """A person is told as such; a staff member or a machine only with a service that may be known (rule 6)."""
    if by.service is not None and not reader.knows(holder, by.service):
        return {"kind": by.kind, "id": None, "service": None}
    return {"kind": by.kind, "id": by.id, "service": by.service}


def _mentioned(permit: Permit, reference: model.Reference | None) -> str | None:
    return reference.id if reference is not None and model.may_be_mentioned(permit, reference) else None


def item_tag(item: Item, body: dict[str, Any]) -> str:
    """`"<state>.<what was seen>"`.

    Two readers of the same state share the first half, so an edit under a permit to contribute matches what was read
    under a permit to read; the second half is over the representation as it was cut. The state of an item changes only
    with the item itself, so neither half tells anything of another category.
    """
    return f'"{_state(item)}.{etag(body)[1:-1]}"'


def _state(item: Item) -> str:
    return etag([item.id, item.version])[1:17]


def unchanged(if_match: str | None) -> Callable[[Item], None]:
    """A check that the item is in the state that its editor saw: Problem 412 when it is not.

    Problem 428 at once without If-Match, before anything is looked up, so that it tells nothing.
    """
    if if_match is None:
        raise Problem(428, "if-match-needed", "Say with If-Match which state you are changing.")
    tags = [tag.strip() for tag in if_match.split(",")]

    def check(today: Item) -> None:
        if not any(tag == "*" or tag.startswith(f'"{_state(today)}.') for tag in tags):
            raise Problem(412, "stale", "This was changed since you read it.")

    return check
