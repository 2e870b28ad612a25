"""Who is told of an event: candidates from the facts, and each of them decided by the one decision."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from chassis.permit import Action, Actor, Kept, Permit
from gateway.model.decide import Admission, Decision, Question
from gateway.model.facts import SYSTEM_CATEGORIES, Entity, Facts, SubjectState

Decide = Callable[[Question, Facts, float], Decision]
What = Literal["changed", "grant-began", "grant-ended"]
Basis = Literal["grant", "asked", "asker", "either", "answers", "leads"]

LISTEN = "listen"
LOOKS = "looks"
ANSWERS = "role:professional,leader"
"""Who may answer for a service what somebody asks about its looks."""
_BASES = {"answers": ANSWERS, "either": "asked-or-asker", "leads": "role:leader"}
ROUNDED_TO = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class About:
    """What somebody would be told of: enough to ask the decision, today and again later.

    basis `either`: asked, or of the service that asked; `leads`: a leader. category None: the log itself, or a question
    about consent. at: epoch seconds of what happened, for grants that do not reach back that far. grant: this very
    grant must be one of those that allow it. item, above: what it was about, and item and category of what that stands
    under: either may be kept from the recipient, unless the recipient is the one who did it (`by`).
    """

    subject: str
    basis: Basis = "grant"
    category: str | None = None
    at: float | None = None
    grant: str | None = None
    item: str | None = None
    above: tuple[tuple[str, str], ...] = ()
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Pointing:
    """One pointer on the feed of one attached agency."""

    attachment: str
    agency: str
    opaque: str
    what: What


@dataclass(frozen=True, slots=True)
class Effects:
    """All that comes of one event: pointers to agencies, and recipients (`person:<id>`, `staff:<id>`) of a notice."""

    about: About
    pointers: tuple[Pointing, ...] = ()
    recipients: tuple[str, ...] = ()


def of_change(about: About, by: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """Something happened in a log. `by` is the recipient name of who did it: they are not told of their own act."""
    agencies = (one for one in _listening(facts) if _sees(_machine(one), about, facts, now, decide))
    people = (who for who in _people(about.subject, facts) if who != by)
    return Effects(
        about,
        tuple(_pointing(one, "changed") for one in agencies),
        tuple(who for who in people if _sees(_person(who), about, facts, now, decide)),
    )


def of_grant(subject: str, grant: str, recipient: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """A grant is in force: for whom it gives something to see, or to contribute to, today.

    A person is told of a grant that somebody made to them, not of the law's own (`self`, `parental`).
    """
    about = About(subject, grant=grant)
    agencies = (one for one in _listening(facts) if recipient in facts.acts_for("machine", one.id))
    people = [recipient] if _was_made(grant, recipient, facts.subjects.get(subject)) else []
    people += _staff(facts, frozenset({recipient}))
    return Effects(
        about,
        tuple(
            _pointing(one, "grant-began")
            for one in agencies
            if _sees(_machine(one), about, facts, now, decide) or _adds(_machine(one), about, facts, now, decide)
        ),
        tuple(who for who in people if _sees(_person(who), about, facts, now, decide)),
    )


def of_withdrawal(subject: str, recipient: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """A grant has ended: its agencies are told that, or that there is a change if they still may do something.

    This is the one thing that is told although `decide` refuses: it says no more than that the handle is of no use.
    """
    about = About(subject)
    agencies = [one for one in _listening(facts) if recipient in facts.acts_for("machine", one.id)]

    def what(one: Entity) -> What:
        actor = _machine(one)
        left = _sees(actor, about, facts, now, decide) or _adds(actor, about, facts, now, decide)
        return "changed" if left else "grant-ended"

    return Effects(about, tuple(_pointing(one, what(one)) for one in agencies))


def of_question(subject: str, asked: Iterable[str], facts: Facts, now: float, decide: Decide) -> Effects:
    """Somebody is asked for consent: those of them who may find the question."""
    about = About(subject, basis="asked")
    names = [f"person:{person}" for person in asked]
    return Effects(about, (), tuple(who for who in names if _sees(_person(who), about, facts, now, decide)))


def of_ending(subject: str, asker: str, people: Iterable[str], facts: Facts, now: float, decide: Decide) -> Effects:
    """What was agreed to ends soon: the people named, and the staff of the service that asked, as far as they may still
    find the question."""
    about = About(subject, basis="either")
    names = [*(f"person:{person}" for person in people), *_staff(facts, frozenset({asker}))]
    return Effects(about, (), tuple(who for who in names if _sees(_person(who), about, facts, now, decide)))


def of_denial(subject: str, request: str, by: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """Somebody said no: the staff of the service that asked, as far as the request is still there."""
    about = About(subject, basis="asker")
    state = facts.subjects.get(subject)
    askers = frozenset(one.asker for one in state.requests if one.id == request) if state else frozenset[str]()
    staff = [who for who in _staff(facts, askers) if who != by]
    return Effects(about, (), tuple(who for who in staff if _sees(_person(who), about, facts, now, decide)))


def of_keeping(subject: str, tell: Sequence[str], facts: Facts, now: float, decide: Decide) -> Effects:
    """Something is kept, or no longer: the subject is told, or the staff of a service that asked about them."""
    services = frozenset(who for who in tell if who.startswith("service:"))
    about = About(subject, basis="asker") if services else About(subject, category=LOOKS)
    people = sorted(_staff(facts, services)) if services else [who for who in tell if who == f"person:{subject}"]
    return Effects(about, (), tuple(who for who in people if _sees(_person(who), about, facts, now, decide)))


def of_registered(subject: str, person: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """Something was written down for somebody: told to them alone, as far as they may find it."""
    about = About(subject, category=LOOKS) if person == subject else About(subject, basis="asked")
    who = f"person:{person}"
    return Effects(about, (), (who,) if _sees(_person(who), about, facts, now, decide) else ())


def of_exception(subject: str, service: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """The exception for life and health was used: the leaders of the service whose staff did."""
    about = About(subject, basis="leads")
    staff = _staff(facts, frozenset({service}))
    return Effects(about, (), tuple(who for who in staff if _sees(_person(who), about, facts, now, decide)))


def of_asked_service(subject: str, service: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """Somebody asks a service about a look: its staff who may answer, but for those whom a consent leaves out."""
    about = About(subject, basis="answers")
    state = facts.subjects.get(subject)
    grants = [grant for grant in state.grants if grant.recipient == service] if state else []
    left_out = {f"staff:{one}" for grant in grants for one in grant.excluded}
    staff = [who for who in _staff(facts, frozenset({service})) if who not in left_out]
    return Effects(about, (), tuple(who for who in staff if _sees(_person(who), about, facts, now, decide)))


def of_service_answer(subject: str, asked_by: str, facts: Facts, now: float, decide: Decide) -> Effects:
    """A service has answered: whoever asked, as far as they may still see looks."""
    about, who = About(subject, category=LOOKS), f"person:{asked_by}"
    return Effects(about, (), (who,) if _sees(_person(who), about, facts, now, decide) else ())


def may_still(recipient: str, about: About, facts: Facts, now: float, decide: Decide) -> bool:
    """May this recipient of a notice still see what it was about?"""
    return _sees(_person(recipient), about, facts, now, decide)


def rounded(moment: datetime) -> datetime:
    """The time as an agency is told it: the quarter of an hour that had begun, so that it joins no two feeds."""
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % ROUNDED_TO


def _sees(actor: Actor, about: About, facts: Facts, now: float, decide: Decide) -> bool:
    return _allowed("read", actor, about, facts, now, decide)


def _adds(actor: Actor, about: About, facts: Facts, now: float, decide: Decide) -> bool:
    return _allowed("contribute", actor, about, facts, now, decide)


def _allowed(action: Action, actor: Actor, about: About, facts: Facts, now: float, decide: Decide) -> bool:
    asked = action if about.basis == "grant" else "none"
    basis = _BASES.get(about.basis, about.basis)
    return covers(decide(Question(actor, about.subject, asked, about.category, basis), facts, now), about)


def covers(decision: Decision, about: About) -> bool:
    """Does this decision let its reader know of it?"""
    if isinstance(decision, Permit):
        if decision.kept is not None and about.category is not None and _is_kept(decision.kept, about, about.category):
            return False
        return any(_fits(cell.category, cell.grant, cell.back, about) for cell in decision.cells)
    return isinstance(decision, Admission)


def _is_kept(kept: Kept, about: About, category: str) -> bool:
    """Is it kept from the recipient? What they did themselves is not."""
    hidden = kept.hides(category, about.item) or any(kept.hides(above, item) for item, above in about.above)
    return hidden and about.by != kept.own


def _fits(category: str, grant: str, back: int | None, about: About) -> bool:
    """Does this cell of a permit cover it? Who only sees who looked, or who may see, has nothing of the log to see."""
    if about.grant is not None and grant != about.grant:
        return False
    if about.category is None:
        return category not in SYSTEM_CATEGORIES
    return category == about.category and (about.at is None or back is None or back <= about.at)


def _was_made(grant: str, recipient: str, state: SubjectState | None) -> bool:
    known = state.grants if state else ()
    return recipient.startswith("person:") and any(one.id == grant and one.kind == "consent" for one in known)


def _people(subject: str, facts: Facts) -> Iterator[str]:
    state: SubjectState | None = facts.subjects.get(subject)
    recipients = frozenset(grant.recipient for grant in state.grants) if state else frozenset[str]()
    yield from sorted(one for one in recipients if one.startswith("person:"))
    yield from _staff(facts, recipients)


def _staff(facts: Facts, recipients: frozenset[str]) -> Iterator[str]:
    if not recipients:
        return
    for one in facts.entities("staff"):
        if one.active and not recipients.isdisjoint(f"service:{service}" for service in one.services):
            yield f"staff:{one.id}"


def _listening(facts: Facts) -> Iterator[Entity]:
    for one in facts.entities("attachment"):
        if one.active and one.opaque and one.agency and LISTEN in one.ports:
            yield one


def _pointing(one: Entity, what: What) -> Pointing:
    return Pointing(one.id, one.agency or "", one.opaque or "", what)


def _machine(one: Entity) -> Actor:
    return Actor("machine", one.id, assurance="high")


def _person(recipient: str) -> Actor:
    """A recipient as the actor they would be when they log in to read."""
    kind, _, id_ = recipient.partition(":")
    return Actor("staff" if kind == "staff" else "person", id_, assurance="high")
