"""What is told of words that came otherwise than by a log-in, wherever it stands beside something else."""

from typing import Literal

from pydantic import BaseModel

from consent.model.otherwise import Manner


class By(BaseModel):
    """Who registered or wrote it: a member of staff, or a companion."""

    kind: Literal["staff", "person"]
    id: str


class ShownScan(BaseModel):
    """A scanned form."""

    sha256: str
    reference: str


class RegisteredView(BaseModel):
    """Words that came otherwise than by a log-in. place, statement and scan are for the person whose words they are."""

    id: str
    person: str
    manner: Manner
    given_at: str
    registered_at: str
    by: By
    services: list[str]
    witness: str | None
    form: str | None
    place: str | None
    statement: str | None
    scan: ShownScan | None


class ToldView(BaseModel):
    """Who told somebody what, orally, and when."""

    id: str
    person: str
    text_version: str
    language: str
    points: list[str]
    interpreter: bool
    told_by: str
    service: str
    told_at: str
    registered_at: str


class StepView(BaseModel):
    """How a grant began or ended. by, manner and through are None for others than the subject and whoever did it."""

    what: Literal["began", "ended"]
    at: str
    status: Literal["confirmed", "pending"]
    by: Literal["subject", "guardian"] | None
    manner: Manner | None
    through: By | None


class GrantHistory(BaseModel):
    """A grant from its beginning to its end."""

    id: str
    recipient: str
    categories: list[str]
    history: list[StepView]
