"""What is sent and shown about time: renewing what ends, and the services that take part until then."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from consent.api.bodies import Body, Day, Text
from consent.api.grant_bodies import HowToEnd


class NewRenewal(Body):
    """Until when it is asked for now. why: left out where the reason is the same."""

    until: Day
    why: Text | None = None


class MaySee(BaseModel):
    """What a service may see, or do, and until when (None: without end). `pending`, `ending`: in progress, not done."""

    grant: str
    categories: list[str]
    actions: list[str]
    until: str | None
    state: Literal["pending", "in-force", "ending"]


class TakingPart(BaseModel):
    """One service that takes part. since: when the first of what is in force began. until: when the last of it ends.

    end: the one call that ends it; None where the reader may not, or it is ending already.
    """

    kind: Literal["service"]
    at: str
    service: str
    name: str
    categories: list[str]
    since: str
    until: str | None
    may: Annotated[list[MaySee], Field(min_length=1)]
    end: HowToEnd | None


class ServicesList(BaseModel):
    """Every service that takes part, as far as the reader may know. `services`: how many, but for those on their way
    out."""

    items: list[TakingPart]
    next: None
    services: int
