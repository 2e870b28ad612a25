"""The one decision (design.md section 3, rule 1): a pure function of a question, the facts in memory and the time."""

from dataclasses import dataclass
from typing import Literal

from chassis.permit import Action, Actor, Cell, Kept, Permit
from gateway.model.facts import BY_LAW, CONTRIBUTE, EXCEPTION, READ, Facts, Grant, SubjectState

_MASKS: dict[Action, int] = {"read": READ, "contribute": CONTRIBUTE}


@dataclass(frozen=True, slots=True)
class Question:
    """May this actor do this, on this subject?

    category: one category, or None for whatever is granted. basis: as in the route table.
    """

    actor: Actor
    subject: str | None
    action: Action | Literal["none"]
    category: str | None = None
    basis: str = "grant"


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to use a route without log content, on another basis than a grant."""

    basis: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why. Reasons are codes; who may be told which is the door's matter."""

    reason: str


Decision = Permit | Admission | Refusal


def decide(question: Question, facts: Facts, now: float) -> Decision:
    """Permit, Admission or Refusal. `now` is business time in epoch seconds.

    Nothing but a live grant leads to content; every other basis leads to an Admission, which carries no category.
    """
    if question.basis == "public":
        return Admission("public")
    actor = question.actor
    if question.basis == "authenticated":
        return Admission("authenticated")
    if actor.assurance != "high":
        return Refusal("assurance-too-low")
    if question.basis != "grant":
        return _on_other_basis(question, facts)
    return _on_grants(question, facts, now)


def _on_grants(question: Question, facts: Facts, now: float) -> Permit | Refusal:
    actor, action, subject = question.actor, question.action, question.subject or ""
    state = facts.subjects.get(subject)
    if state is None:
        return Refusal("unknown-subject")
    if state.closed:
        return Refusal("facts-unreadable")
    if action == "none":
        return Refusal("no-grant")
    recipients = facts.acts_for(actor.kind, actor.id)
    wanted, mask, known = question.category, _MASKS[action], facts.categories
    cells: list[Cell] = []
    purpose = ""
    reason = "no-grant"
    for place, recipient in enumerate(state.recipients):
        if recipient not in recipients or not (grant := state.grants[place]).actions & mask:
            continue
        why = _closed(grant, actor.id, now)
        if why is not None:
            reason = why
            continue
        granted = [Cell(category, grant.id, grant.back) for category in grant.categories if category in known]
        if granted and (not purpose or wanted in grant.categories):  # of what was asked for, else of the first
            purpose = grant.purpose
        cells += granted
    if wanted is not None and not any(cell.category == wanted for cell in cells):
        return Refusal("category-not-granted" if cells else reason)
    if not cells:
        return Refusal(reason)
    masked = state.circle is not None and recipients.isdisjoint(state.circle)
    left, kept = _but_kept(tuple(cells), state, question)
    return Permit(subject, action, purpose, left, masked, kept)


def _but_kept(cells: tuple[Cell, ...], state: SubjectState, question: Question) -> tuple[tuple[Cell, ...], Kept | None]:
    """The cells, and what is kept from this reader, who is not the subject.

    The law's own sight of a kept category stays a cell, so that nothing outside tells of it, and shows what the reader
    wrote. Where the subject has granted the category to this very person, that grant counts instead, as far as it
    reaches; a kept item stays kept. An exception for life and health shows both.
    """
    kept, reader = state.kept, question.actor
    if kept is None or reader.kind != "person" or reader.id == question.subject:
        return cells, None
    by_law = {grant.id for grant in state.grants if grant.kind == BY_LAW}
    by_exception = {grant.id for grant in state.grants if grant.purpose == EXCEPTION}
    given = {cell.category for cell in cells if cell.grant not in by_law}
    excepted = {cell.category for cell in cells if cell.grant in by_exception}
    left = tuple(
        cell
        for cell in cells
        if cell.grant not in by_law or cell.category not in given or cell.category not in kept.categories
    )
    categories = tuple(category for category in kept.categories if category not in given)
    items = tuple(item for item, category in kept.items if category not in excepted)
    return left, Kept(categories, items, reader.id or "")


def _closed(grant: Grant, actor: str | None, now: float) -> str | None:
    """Why this grant of the actor's does not count; None when it does."""
    if grant.start > now or (grant.until is not None and grant.until <= now):
        return "grant-not-live"
    return "staff-excluded" if grant.excluded and actor in grant.excluded else None


def _on_other_basis(question: Question, facts: Facts) -> Admission | Refusal:
    actor, basis = question.actor, question.basis
    if basis == "self":
        return Admission(basis) if _is_matched(actor, facts) else Refusal("not-matched")
    if basis == "agency":
        known = facts.directory.get(f"attachment:{actor.id}") if actor.kind == "machine" else None
        return Admission(basis) if known is not None and known.active else Refusal("not-attached")
    if basis.startswith("role:"):
        staff = facts.directory.get(f"staff:{actor.id}") if actor.kind == "staff" else None
        fits = staff is not None and staff.active and staff.role in basis[5:].split(",")
        return Admission(basis) if fits else Refusal("role-missing")
    state = facts.subjects.get(question.subject or "")
    if state is None:
        return Refusal("unknown-subject")
    if state.closed:
        return Refusal("facts-unreadable")
    return _in_a_request(question, state, facts)


def _is_matched(actor: Actor, facts: Facts) -> bool:
    """A person whom `consent` knows, or staff who are still here. Machines have no account of their own."""
    if actor.id is None or actor.kind == "machine":
        return False
    staff = facts.directory.get(f"staff:{actor.id}")
    return actor.kind == "person" or (staff is not None and staff.active)


def _in_a_request(question: Question, state: SubjectState, facts: Facts) -> Admission | Refusal:
    actor, basis = question.actor, question.basis
    asks = basis in ("asker", "asked-or-asker") and any(
        request.asker in facts.acts_for(actor.kind, actor.id) for request in state.requests
    )
    is_asked = (
        basis in ("asked", "asked-or-asker")
        and actor.kind == "person"
        and any(actor.id in request.asked for request in state.requests)
    )
    return Admission(basis) if asks or is_asked else Refusal("not-asked")


def still_allows(first: Decision, again: Decision) -> bool:
    """Does the second decision allow every cell of the first, under the same grants (protocol.md, GATEWAY read)?

    A yes under another grant is a no: what was cut under the old one may not leave under the new one; nor may what was
    fetched before something in it was kept, or before places were masked.
    """
    if isinstance(first, Permit):
        return isinstance(again, Permit) and set(first.cells) <= set(again.cells) and _hides_no_more(first, again)
    return type(first) is type(again) and (not isinstance(first, Admission) or first == again)


def _hides_no_more(first: Permit, again: Permit) -> bool:
    if again.masked and not first.masked:
        return False
    before, after = first.kept, again.kept
    if after is None:
        return True
    if before is None:
        return not (after.categories or after.items)
    return set(after.categories) <= set(before.categories) and set(after.items) <= set(before.items)
