"""What is shown of looks, questions about them and counts, and what may be sent about them."""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel

from chassis.http import PAPER
from chassis.openapi import FILES
from consent.api.bodies import Body, Slug, Text

LookAction = Literal["read", "contribute", "none"] | None
Outcome = Literal["answered", "refused"] | None


def _as(*kinds: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {PAPER: {"schema": {"type": "object"}, FILES: list(kinds)}}}}


AS_ROWS, AS_FILES, AS_PAGE = _as("text/csv"), _as("text/csv", "text/html"), _as("text/html")
"""Beside JSON: what a list can be had as, as a file."""


class NewQuestion(Body):
    """What the service is asked about a look. `service`: which one, needed where the look names several."""

    text: Text
    service: Slug | None = None


class NewReply(Body):
    """The service's answer."""

    text: Text


class LookActor(BaseModel):
    """Who looked, and for which services."""

    kind: Literal["person", "staff", "machine"]
    id: str | None
    services: list[str]
    role: str | None
    agency: str | None


class QuestionView(BaseModel):
    """What the reader asked the service about a look, and its answer once there is one."""

    id: str
    service: str
    state: Literal["open", "answered"]
    text: str
    asked_at: str
    answer: str | None
    answered_at: str | None


class _Look(BaseModel):
    id: str
    kind: Literal["look"]
    at: str
    actor: LookActor
    route: str | None
    action: str | None
    categories: list[str]
    grants: list[str]
    basis: str | None
    purpose: str | None
    outcome: Literal["answered", "refused"]
    reason: str | None
    count: int
    held_back: str | None
    manner: str | None
    behalf: Literal["subject", "other"] | None


class Made(BaseModel):
    """What a write made or changed. `what`: `entry-added`, `goal-set`, `measure-started`, `log-opened` and so on; new
    words may come. `item`: to be had as `/subjects/{subject}/items/{item}`; None: the log itself."""

    what: str
    item: str | None


class LookView(_Look):
    """One look or one refusal. `held_back`: why the answer did not leave after all. `text`: all of it in plain words,
    in the reader's language. `made`: what a write made or changed, as far as the reader may know; it comes a moment
    after the look, and a repetition of a write has made nothing."""

    text: str
    made: list[Made]
    question: QuestionView | None


class ShownWords(BaseModel):
    """Which words the looks are told in, and whether somebody answers for them."""

    version: str
    language: str
    status: Literal["approved", "draft"]


class LookList(BaseModel):
    """Looks, the newest first."""

    items: list[LookView]
    next: str | None
    words: ShownWords


class LookFile(BaseModel):
    """All looks that were asked for, without proofs; `about` says who gets those, and how."""

    kind: Literal["looks"]
    proofs: Literal[False]
    about: str
    items: list[LookView]
    next: None


class ProvedList(BaseModel):
    """The subject's own whole list, with its proofs (LEDGER.md, "A person's list")."""

    kind: Literal["samlogg-looks"]
    version: Literal[1]
    key: str
    checkpoint: str
    receipt: str
    chain: str
    items: list[dict[str, Any]]
    nodes: list[list[int | str]]


class ServiceQuestion(QuestionView):
    """A question to one's own service. `subject`: whom the look was at."""

    kind: Literal["question"]
    subject: str
    look: str
    asked_by: Literal["subject", "guardian"]


class QuestionList(BaseModel):
    """What a service was asked, the newest first."""

    items: list[ServiceQuestion]
    next: str | None


class AnsweredView(BaseModel):
    """How far a question has come."""

    id: str
    state: Literal["open", "answered"]
    answered_at: str | None


class AuditedLook(_Look):
    """A look as a privacy officer sees it. `subject` None: the handle meant nobody."""

    subject: str | None


class AuditList(BaseModel):
    """Looks of a period at anybody, the newest first."""

    items: list[AuditedLook]
    next: str | None


class Counted(BaseModel):
    """Records of looks on one day. `looks` None: too few people behind the number to tell it."""

    day: date
    service: str | None
    action: str | None
    outcome: str | None
    looks: int | None


class ProcessingActivity(BaseModel):
    """One thing done with personal data (GDPR art. 30 no. 1). Lists are empty where they say nothing about it."""

    activity: str
    held_by: str
    subjects: str
    data: str
    purpose: str
    basis: str
    erasure: str
    categories: list[str]
    services: list[str]
    law: list[str]
    texts: list[str]
    transfers: str
    security: str


class ProcessingRecord(BaseModel):
    """The record of processing. `controllers`: agencies whose services take part; `version`: of its fixed part."""

    items: list[ProcessingActivity]
    next: None
    version: str
    language: str
    controllers: list[str]


class Statistics(BaseModel):
    """Counts per day, service, action and outcome. `fewest`: how many people there are at least behind a number."""

    items: list[Counted]
    next: None
    fewest: int
