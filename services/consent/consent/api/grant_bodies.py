"""What is shown of grants: who may see what, the words it rests on, and the call that ends it."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from consent.model.requests import Capacity
from consent.model.texts import Helper, How


class ShownConveyance(BaseModel):
    """How a text reached the person, and in which role somebody helped."""

    how: How
    by: Helper | None
    into: str | None


class GivenBy(BaseModel):
    """One person's yes: when, how sure it is who it was, the text they were shown, and how it reached them (None: that
    was not recorded)."""

    person: str
    capacity: Capacity
    at: str
    assurance: str
    text_version: str | None
    language: str | None
    conveyed: ShownConveyance | None


class HowToEnd(BaseModel):
    """The one call that ends all that was agreed to for a service; with a `category` in its body, only that."""

    method: Literal["POST"]
    href: str
    body: dict[str, str]


class GrantView(BaseModel):
    """Who may see what, until when. `pending` and `ending` are in progress, not done. `name`: the service's, in the
    reader's language. `evidence`: the answers it rests on, as far as the reader may know them;
    `assurance` names the manner of one that came on paper, orally or through a companion. `end`: None where the
    reader may not end it, or it is ending already."""

    id: str
    kind: Literal["consent", "self", "parental", "exception"]
    at: str
    recipient: str
    categories: list[str]
    actions: list[str]
    purpose: str
    begins: Annotated[str, Field(alias="from")]
    until: str | None
    state: Literal["pending", "in-force", "ending"]
    name: str | None
    evidence: list[GivenBy]
    end: HowToEnd | None


class GrantList(BaseModel):
    """All grants, cut to what the reader sees. `services`: how many services they are for."""

    items: list[GrantView]
    next: None
    services: int
