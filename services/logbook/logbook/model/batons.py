"""Opening, levels, the baton and whom one acts for: the rules of the log itself."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from logbook.model.errors import (
    GuideUnknown,
    LevelTooLow,
    LevelUnchanged,
    LevelUnknown,
    NoOffer,
    NotAParticipant,
    NotTheHolder,
    ParticipantsHidden,
    PlanTypeUnknown,
    ServiceNeeded,
)
from logbook.model.facts import SYSTEM_CATEGORIES, Author, Guide, Holder, Log, Offer, Participation
from logbook.model.sight import Allowed, service_is_known


def open_log(guide: Guide | None, plan_type: str, level: int) -> Guide:
    """The guide under which a log may be opened at `level` (F036, X3). The permit has shown the consent before."""
    if guide is None:
        raise GuideUnknown
    if plan_type not in guide.plan_types:
        raise PlanTypeUnknown
    if level not in guide.levels:
        raise LevelUnknown
    if level < guide.create_from:
        raise LevelTooLow
    return guide


def change_level(log: Log, guide: Guide | None, level: int, by: Author) -> Guide:
    """The guide that the change is made under; up and down are equal (F039). The holder's own people do it."""
    if by.service != log.holder.service or by.kind != "staff":
        raise NotTheHolder
    if guide is None:
        raise GuideUnknown
    if level not in guide.levels:
        raise LevelUnknown
    if level == log.level:
        raise LevelUnchanged
    return guide


def takes_part(participants: Iterable[Participation], recipient: str, *, action: str | None = None) -> bool:
    """Has this recipient a live grant to content, for `action` if one is named?"""
    return any(
        found.recipient == recipient
        and not SYSTEM_CATEGORIES.issuperset(found.categories)
        and (action is None or action in found.actions)
        for found in participants
    )


def offer_handover(
    allowed: Allowed,
    log: Log,
    by: Author,
    participants: Collection[Participation],
    to_service: str,
    *,
    holder_acts: bool,
) -> None:
    """May `by` offer the baton to `to_service`? (F073, F074, rule 7)

    The holder's service offers. If its consent has ended, any other participating service may, so that the baton
    can leave a service that can no longer act; until somebody accepts it still holds.
    """
    if by.service is None or (by.service != log.holder.service and holder_acts):
        raise NotTheHolder
    if not service_is_known(allowed, (by.service,), log.holder.service, to_service):
        raise ParticipantsHidden
    if not takes_part(participants, f"service:{to_service}", action="contribute"):
        raise NotAParticipant


def accept_handover(log: Log, offer: Offer | None, by: Author, holder_id: str, now: datetime) -> tuple[Holder, Holder]:
    """The ended and the new turn. The permit of the accepting service is the proof that it has consent now."""
    if by.service is None:
        raise ServiceNeeded
    if offer is None or offer.to_service != by.service:
        raise NoOffer
    staff = by.id if by.kind == "staff" else None
    return replace(log.holder, until=now), Holder(holder_id, by.service, staff, now)


def acting_service(
    services: Collection[str], granted_to: Mapping[str, str], grants: Iterable[str], named: str | None
) -> str | None:
    """For which of the own `services` does a staff member or a machine act? None: for none (a person).

    granted_to: recipient by grant id, as far as known. grants: those the permit rests on. Who works for several
    services that the permit may rest on has to name one; a guess would give a measure to the wrong owner.
    """
    if not services:
        if named is not None:
            raise ServiceNeeded
        return None
    recipients = {granted_to.get(grant) for grant in grants}
    possible = {name for name in services if f"service:{name}" in recipients} or set(services)
    if len(services) > 1 and named is None and len(possible) > 1:
        raise ServiceNeeded
    chosen = named if named is not None else next(iter(possible))
    if chosen not in possible:
        raise ServiceNeeded
    return chosen
