"""Callers: whom a proven login stands for today, by what the directory says now and never by what a token says."""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter

from chassis.permit import Actor
from chassis.permit import Assurance as Word
from chassis.problems import Problem
from gateway.model import handles
from gateway.model.facts import Entity, Facts
from gateway.model.identity import Assurance, Reason, TokenRefused

Via = Literal["session", "bearer"]

_MOST_KNOWN = 10_000
_WORDS: dict[Assurance, Word] = {Assurance.low: "low", Assurance.substantial: "substantial", Assurance.high: "high"}

_refusals = Counter("samlogg_identity_refusals", "Credentials that were refused, by reason", ["reason"])

REFUSALS: dict[Reason, tuple[int, str]] = {
    "token-malformed": (401, "This is not a token that can be read."),
    "token-expired": (401, "The token has ended; log in again."),
    "token-too-old": (401, "The token was made before this login began."),
    "token-not-yet-valid": (401, "The token is not valid yet."),
    "token-signature": (401, "The token was not signed by the one who is said to have made it."),
    "token-algorithm": (401, "The token is signed in a way that is not accepted."),
    "token-key-unknown": (401, "The token is signed with a key that its issuer does not show."),
    "unknown-issuer": (401, "Tokens of this issuer are not accepted."),
    "wrong-issuer": (401, "The token was made by another issuer than the one asked."),
    "wrong-audience": (401, "The token was made for somebody else."),
    "wrong-party": (401, "The token was given to somebody else."),
    "wrong-nonce": (401, "The token belongs to another login."),
    "low-assurance": (403, "This needs a login of higher assurance."),
    "missing-scope": (403, "The token does not reach this service."),
    "unknown-organisation": (403, "This organisation is not attached here."),
    "national-id-refused": (403, "People with such a national id cannot be here."),
    "staff-inactive": (403, "This staff member is not active."),
}
"""How each refusal is told. The reason is the end of the problem's `type`."""


def refused(reason: Reason, *, bearer: bool = False) -> Problem:
    """The problem for a reason; for a bearer token with the header of RFC 6750."""
    _refusals.labels(reason).inc()
    status, title = REFUSALS[reason]
    error = "invalid_token" if status == 401 else "insufficient_scope"
    headers = {"WWW-Authenticate": f'Bearer error="{error}"'} if bearer else None
    return Problem(status, reason, title, headers=headers, reason=reason)


def not_logged_in(slug: str = "not-logged-in", title: str = "Log in first.") -> Problem:
    """401 for a request without a session that lives."""
    return Problem(401, slug, title, headers={"WWW-Authenticate": "Bearer"}, reason=slug)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they call subjects.

    A caller from a session has already passed the check against forged requests. `until`: Unix time at which the login
    ends by itself. `actor.id` None: logged in but matched to nobody, good for `authenticated` and `public` routes only.
    """

    actor: Actor
    audience: str
    via: Via
    until: float


class Callers:
    """Finds callers in the facts in memory; nothing of the directory is remembered from one request to the next."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._organisations: dict[str, tuple[str, str]] = {}

    def citizen(self, person: str | None, assurance: Assurance, via: Via, until: float) -> Caller:
        """A citizen, by person id; None when `consent` knows nobody with that national id."""
        audience = handles.NOBODY if person is None else handles.person_audience(person)
        return Caller(Actor("person", person, assurance=_WORDS[assurance]), audience, via, until)

    def staff(self, login: str, assurance: Assurance, via: Via, until: float) -> Caller:
        """A staff member, by the keyed hash of the login. TokenRefused `staff-inactive` when told to stay out."""
        entity = self._facts.staff_by_identity(login)
        if entity is None:
            self._not_inactive(login)
            actor = Actor("staff", None, assurance=_WORDS[assurance], login=login)
            return Caller(actor, handles.NOBODY, via, until)
        services = self._services("staff", entity)
        agency = self._agency(services)
        actor = Actor("staff", entity.id, services, entity.role, agency, _WORDS[assurance], login)
        audience = handles.staff_audience(entity.id) if agency is None else handles.agency_audience(agency)
        return Caller(actor, audience, via, until)

    def machine(self, orgnr: str, assurance: Assurance, until: float) -> Caller:
        """An agency's machine, by organisation number. TokenRefused `unknown-organisation` if it is not attached."""
        agency, attachment = self._attached(orgnr)
        services = self._services("machine", attachment)
        actor = Actor("machine", attachment.id, services, None, agency.id, _WORDS[assurance])
        return Caller(actor, handles.agency_audience(agency.id), "bearer", until)

    def _not_inactive(self, login: str) -> None:
        """The facts index active staff only; who is not among them is looked for among the others."""
        if any(entity.identity == login for entity in self._facts.entities("staff")):
            raise TokenRefused("staff-inactive")

    def _services(self, kind: Literal["staff", "machine"], entity: Entity) -> tuple[str, ...]:
        return tuple(sorted(found.removeprefix("service:") for found in self._facts.acts_for(kind, entity.id)))

    def _agency(self, services: tuple[str, ...]) -> str | None:
        """The agency whose services these are, if it is one and the same."""
        found = {self._facts.directory[f"service:{service}"].agency for service in services}
        return found.pop() if len(found) == 1 else None

    def _attached(self, orgnr: str) -> tuple[Entity, Entity]:
        """The agency and its attachment. Where they were found last time is only a hint, checked against the facts."""
        hint = self._organisations.get(orgnr)
        if hint is not None:
            agency, attachment = (self._facts.directory.get(key) for key in hint)
            if _fits(agency, attachment, orgnr) and agency is not None and attachment is not None:
                return agency, attachment
        agency = self._facts.agency_by_orgnr(orgnr)
        attachment = None if agency is None else self._facts.attachment_of(agency.id)
        if agency is None or attachment is None:
            raise TokenRefused("unknown-organisation")
        if len(self._organisations) >= _MOST_KNOWN:
            self._organisations.clear()
        self._organisations[orgnr] = (f"agency:{agency.id}", f"attachment:{attachment.id}")
        return agency, attachment


def _fits(agency: Entity | None, attachment: Entity | None, orgnr: str) -> bool:
    return (
        agency is not None and agency.active and agency.orgnr == orgnr
        and attachment is not None and attachment.active and attachment.agency == agency.id
    )  # fmt: skip
