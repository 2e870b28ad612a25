"""One request through the door: decide, record, ask the owner, cut, and decide again when the answer leaves."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from prometheus_client import Counter

from chassis.permit import Action, Actor, Permit
from chassis.problems import Problem, not_found
from gateway.handlers.answers import (
    EVENTS,
    JSON,
    Answer,
    Asked,
    Changed,
    Part,
    freshness_unknown,
    problem_answer,
    record_unavailable,
)
from gateway.handlers.gathering import NotRecorded
from gateway.handlers.owners import Asks, Owned, Owners, ready
from gateway.handlers.records import Look, Records
from gateway.handlers.refusals import Refusals
from gateway.model.decide import Admission, Decision, Question, Refusal, still_allows
from gateway.model.facts import SYSTEM_CATEGORIES, Facts
from gateway.model.feeds import About, covers
from gateway.model.handles import Handles
from gateway.model.lease import Lease
from gateway.model.routing import Route

SUBJECTS_A_PAGE = 50
SUBJECTS_AT_ONCE = 8
TURN = 500
RELATIONS_AT_MOST = 2_000
AFTER_SUBJECT = "after_subject"

_decisions = Counter("samlogg_decisions", "Decisions by basis and outcome", ["basis", "outcome"])
_again = Counter("samlogg_second_checks", "Second checks that did not confirm the first", ["reason"])

Decide = Callable[[Question, Facts, float], Decision]
Found = TypeVar("Found")


class Door:
    """Everything a request needs between the transport and the services."""

    def __init__(
        self, *, facts: Facts, lease: Lease, handles: Handles, services: Asks, records: Records, refusals: Refusals,
        decide: Decide, now: Callable[[], datetime], lease_now: Callable[[], float],
    ) -> None:  # fmt: skip
        self._facts, self._lease, self._handles = facts, lease, handles
        self._owners = Owners(services, handles, lease, lease_now)
        self._records, self._refusals, self._decide = records, refusals, decide
        self._now, self._lease_now = now, lease_now

    # -- before the answer leaves ------------------------------------------------------------------------------------

    async def prepare(self, asked: Asked) -> Answer:
        """The answer, decided, recorded and cut. It may only leave after `check`, in the step that writes it."""
        route = asked.route
        if not route.lease:
            return await self._without_lease(asked)
        self._require_lease()
        if asked.match.me:
            return await self._for_all_subjects(asked)
        question = self._question(asked, self._subject(asked))
        decision = self._decided(question)
        if isinstance(decision, Refusal):
            return await self._refuse(asked, question, decision)
        return ready(asked, *await self._recorded_and_asked(asked, question, decision))

    async def own(self, asked: Asked, body: bytes) -> Answer:
        """The beginning of a stream, which the gateway makes itself: decided and recorded like every other answer."""
        self._require_lease()
        question = self._question(asked, self._subject(asked))
        decision = self._decided(question)
        if isinstance(decision, Refusal):
            return await self._refuse(asked, question, decision)
        return await self._streamed(asked, question, decision, body)

    async def pointing(self, asked: Asked, about: About, body: bytes) -> Answer | None:
        """One message of a stream, decided and recorded; None when this reader may not know of it."""
        self._require_lease()
        question = replace(self._question(asked, about.subject), category=about.category)
        decision = self._decided(question)
        if isinstance(decision, Refusal) or not covers(decision, about):
            return None
        return await self._streamed(asked, question, decision, body)

    async def _streamed(self, asked: Asked, question: Question, decision: Permit | Admission, body: bytes) -> Answer:
        look = self._look(asked, question, decision)
        written = await self._sent(look)
        try:
            await _landed(written)
        except BaseException:
            self._records.held_back(look, "not-recorded-in-time")  # it may land all the same
            raise
        purpose = decision.purpose if isinstance(decision, Permit) else None
        return Answer(
            200, body, {"content-type": EVENTS}, (Part(question, decision, look),), purpose=purpose, more=True
        )

    def may_know(self, asked: Asked, about: About) -> bool:
        """May this reader know of it now? Not yet an answer: `pointing` decides again."""
        question = replace(self._question(asked, about.subject), category=about.category)
        return covers(self._decide(question, self._facts, self._now().timestamp()), about)

    def check_standing(self, asked: Asked) -> None:
        """May this stream be open? Changed when the lease or the reader's last grant is gone."""
        if not self._lease.holds(self._lease_now()):
            raise Changed("freshness-unknown")
        question = self._question(asked, self._subject(asked))
        if isinstance(self._decide(question, self._facts, self._now().timestamp()), Refusal):
            raise Changed("no-longer-allowed")

    def check(self, answer: Answer) -> None:
        """The second check (protocol.md, GATEWAY read): now, the lease, the decisions. Changed when they do not hold.

        Must run in the same event-loop step as the write that follows it.
        """
        if not answer.leased:
            return
        if not self._lease.holds(self._lease_now()):
            raise Changed("freshness-unknown")
        moment = self._now().timestamp()
        for part in answer.parts:
            if not still_allows(part.decision, self._decide(part.question, self._facts, moment)):
                raise Changed("decided-anew")

    def hold_back(self, answer: Answer, reason: str) -> None:
        """Say on the record that the looks of this answer got none, or not the whole of it.

        Whatever the reason: where some of it was written it was cut off, and no record may say that nothing left.
        """
        _again.labels(reason).inc()
        reason = "cut-off" if answer.sent else reason
        came = (answer.sent, len(answer.body)) if reason == "cut-off" else None
        for part in answer.parts:
            if part.look is not None and part.look.outcome == "answered":
                self._records.held_back(part.look, reason, came)

    def use_within_ms(self, asked: Asked) -> int:
        """For how long after it was asked an answer may be used: the rest of the lease, counted from before."""
        return max(0, int((self._lease.until - asked.received) * 1000))

    def relations(self, actor: Actor) -> list[tuple[str, list[str]]]:
        """For whom this caller holds a grant, asks or is asked, and how; decided like everything else.

        Problem 503 without a lease; 422 where there are too many for one answer: they come in pages under /me/<list>.
        """
        self._require_lease()
        subjects = self._facts.subjects_of(self._facts.acts_for(actor.kind, actor.id))
        if len(subjects) > RELATIONS_AT_MOST:
            raise Problem(422, "too-many", "There are too many for one list. Ask for them by page under /me/<list>.")
        found = [(subject, self._relation(actor, subject)) for subject in subjects]
        return [(subject, kinds) for subject, kinds in found if kinds]

    def _relation(self, actor: Actor, subject: str) -> list[str]:
        kinds: set[str] = set()
        state = self._facts.subjects[subject]
        for action in _ACTIONS:
            decision = self._decided(Question(actor, subject, action))
            if isinstance(decision, Permit):
                live = {cell.grant for cell in decision.cells}
                kinds |= {_RELATIONS.get(grant.kind, "service") for grant in state.grants if grant.id in live}
        kinds |= {
            basis
            for basis in ("asked", "asker")
            if isinstance(self._decided(Question(actor, subject, "none", basis=basis)), Admission)
        }
        return sorted(kinds)

    # -- steps -------------------------------------------------------------------------------------------------------

    def _require_lease(self) -> None:
        if not self._lease.holds(self._lease_now()):
            raise freshness_unknown()

    def _subject(self, asked: Asked) -> str | None:
        handle = asked.match.parameters.get("subject")
        return None if handle is None else self._handles.subject_of(asked.audience, handle)

    def _question(self, asked: Asked, subject: str | None) -> Question:
        route = asked.route
        category = route.fixed
        if category is None and route.from_body is not None:
            named = (asked.body or {}).get(route.from_body)
            category = named if isinstance(named, str) else None  # missing or wrong: the owner says so (422)
        action: Any = route.action
        return Question(asked.actor, subject, action, category, route.basis)

    def _decided(self, question: Question) -> Decision:
        decision = self._decide(question, self._facts, self._now().timestamp())
        outcome = decision.reason if isinstance(decision, Refusal) else "allowed"
        _decisions.labels(question.basis.partition(":")[0], outcome).inc()
        return decision

    def _look(self, asked: Asked, question: Question, decision: Decision) -> Look:
        cells = decision.cells if isinstance(decision, Permit) else ()
        if question.category is not None:
            cells = tuple(cell for cell in cells if cell.category == question.category)
        else:  # what is about the log itself is not what such a look is at
            cells = tuple(cell for cell in cells if cell.category not in SYSTEM_CATEGORIES) or cells
        refused = isinstance(decision, Refusal)
        named = (question.category,) if refused and asked.route.fixed else ()
        return Look(
            id=str(uuid4()), at=self._now(), subject=question.subject, actor=asked.actor, route=asked.route.id,
            action=asked.route.action,
            categories=tuple(dict.fromkeys(cell.category for cell in cells)) or tuple(n for n in named if n),
            grants=tuple(dict.fromkeys(cell.grant for cell in cells)), basis=asked.route.basis,
            purpose=decision.purpose if isinstance(decision, Permit) else None,
            outcome="refused" if refused else "answered",
            reason=decision.reason if isinstance(decision, Refusal) else None,
        )  # fmt: skip

    async def _refuse(self, asked: Asked, question: Question, refusal: Refusal) -> Answer:
        """Recorded like a look; about a subject it has the bytes of `not found`, whether or not there is one."""
        if asked.route.record or asked.route.subject:
            look = self._look(asked, question, refusal)
            if self._refusals.admit(look, self._lease_now()):
                await _landed(await self._sent(look))
        return problem_answer(_told(asked.route, refusal), parts=(Part(question, refusal),), leased=True)

    async def _recorded_and_asked(
        self, asked: Asked, question: Question, decision: Permit | Admission
    ) -> tuple[Part, Owned]:
        """The record is on its way before the owner is asked, and durable when this returns."""
        if not asked.route.record:
            part = Part(question, decision)
            return part, await self._owners.ask(asked, part)
        look = self._look(asked, question, decision)
        part = Part(question, decision, look)
        written = asyncio.ensure_future(await self._sent(look))
        held = "service-unavailable"
        try:
            owned = await self._owners.ask(asked, part)
            held = "not-recorded-in-time"  # it may land all the same
            await _landed(written)
        except BaseException:
            written.add_done_callback(_looked_at)
            self._records.held_back(look, held)
            raise
        if owned.held is not None:
            self._records.held_back(look, owned.held)
        return part, owned

    async def _sent(self, look: Look) -> Awaitable[None]:
        """Problem where it is not on its way, and so cannot land: there is nothing to take back."""
        try:
            return await self._records.send(look)
        except NotRecorded:
            raise record_unavailable() from None

    async def _without_lease(self, asked: Asked) -> Answer:
        """Withdrawing and its state: the owner decides and records from its own database, without Kafka.

        A handle that means nobody goes to the owner as an id that nobody has: the same cost, the same answer.
        """
        question = self._question(asked, self._subject(asked))
        decision = self._decided(question)
        if isinstance(decision, Refusal):
            return problem_answer(_told(asked.route, decision))
        part = Part(question, decision)
        return ready(asked, part, await self._owners.ask(asked, part))

    # -- /me ---------------------------------------------------------------------------------------------------------

    async def _for_all_subjects(self, asked: Asked) -> Answer:
        """One decision and one record for each of the caller's subjects; those refused are not mentioned."""
        allowed, more = await self._allowed_subjects(asked)
        gate = asyncio.Semaphore(SUBJECTS_AT_ONCE)

        looked: list[Part] = []

        async def one(question: Question, decision: Permit | Admission) -> tuple[Part, Owned]:
            async with gate:
                part, owned = await self._recorded_and_asked(asked, question, decision)
            looked.append(part)
            return part, owned

        try:
            done = await _all(one(*each) for each in allowed)
        except BaseException:  # also where the process ends
            self.hold_back(Answer(503, b"", parts=looked), "service-unavailable")
            raise
        parts = [part for part, _ in done]
        for _, owned in done:
            if owned.status not in (200, 404):  # the caller's own mistake in the query, and not an empty list
                others = [part for part, other in done if other.held is None]
                self.hold_back(Answer(owned.status, b"", parts=others), "turned-down")
                return Answer(owned.status, owned.body, dict(owned.headers), parts)
        items = [
            {"subject": self._handle(asked, part.question), "answer": msgspec.Raw(owned.body)}
            for part, owned in done
            if owned.status == 200
        ]
        following = self._handle(asked, allowed[-1][0]) if more else None
        body = msgspec.json.encode({"items": items, "next": following})
        return Answer(200, body, {"content-type": JSON}, parts)

    def _handle(self, asked: Asked, question: Question) -> str:
        return self._handles.to_handle(asked.audience, question.subject or "")

    async def _allowed_subjects(self, asked: Asked) -> tuple[list[tuple[Question, Permit | Admission]], bool]:
        """A page of them, in an order of the caller's own: an order by inner id would let two agencies join theirs.

        Other requests have their turn in between; what changes meanwhile is found by the second check.
        """
        after = asked.match.parameters.get(AFTER_SUBJECT)
        begin = b""
        salt = hashlib.sha256(asked.audience.encode()).digest()
        if after is not None:
            subject = self._handles.subject_of(asked.audience, after)
            if subject is None:
                raise Problem(400, "invalid-cursor", "This cursor does not belong here. Start again without one.")
            begin = _place(salt, subject)
        places: list[tuple[bytes, str]] = []
        for n, subject in enumerate(self._facts.subjects_of(self._facts.acts_for(asked.actor.kind, asked.actor.id))):
            place = _place(salt, subject)
            if place > begin:
                places.append((place, subject))
            if n % TURN == TURN - 1:
                await asyncio.sleep(0)
        allowed: list[tuple[Question, Permit | Admission]] = []
        for n, (_, subject) in enumerate(sorted(places)):
            question = self._question(asked, subject)
            decision = self._decided(question)
            if not isinstance(decision, Refusal):
                if len(allowed) == SUBJECTS_A_PAGE:
                    return allowed, True
                allowed.append((question, decision))
            if n % TURN == TURN - 1:
                await asyncio.sleep(0)
        return allowed, False


async def _all(work: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """Their results in their order, when all have ended; then the first error, if there is one."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for failed in found:
        if isinstance(failed, BaseException):
            raise failed
    return [one for one in found if not isinstance(one, BaseException)]


_ACTIONS: tuple[Action, ...] = ("read", "contribute")
_RELATIONS = {"self": "self", "parental": "parental"}


def _place(salt: bytes, subject: str) -> bytes:
    return hashlib.blake2b(subject.encode(), key=salt, digest_size=16).digest()


def _told(route: Route, refusal: Refusal) -> Problem:
    """What the caller is told. Assurance is the caller's own matter; about a subject everything else is not found."""
    if refusal.reason == "assurance-too-low":
        return Problem(403, "low-assurance", "This needs a login of higher assurance.")
    if route.subject:
        return not_found()
    return Problem(403, "not-allowed", "You may not do this.", reason=refusal.reason)


async def _landed(written: Awaitable[None]) -> None:
    try:
        await written
    except NotRecorded:
        raise record_unavailable() from None


def _looked_at(task: "asyncio.Future[None]") -> None:
    if not task.cancelled():
        task.exception()
