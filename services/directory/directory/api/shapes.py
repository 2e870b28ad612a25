"""What else comes in, and what goes out: nothing leaves that is not named here."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from directory.api.document import LevelIn, ToolIn
from directory.api.fields import Moment, Slug, Strict


class PublicKeyIn(Strict):
    """An RSA key as JWK; private members are refused by the model, with a reason of their own."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)

    kty: Annotated[str, StringConstraints(max_length=10)]
    n: Annotated[str, StringConstraints(max_length=1400, pattern=r"^[A-Za-z0-9_-]+$")]
    e: Annotated[str, StringConstraints(max_length=10, pattern=r"^[A-Za-z0-9_-]+$")]

    def jwk(self) -> dict[str, str]:
        """Every member that is text."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, str)}


class AttachmentIn(Strict):
    """Which services of the agency attach, through which ports."""

    services: Annotated[list[Slug], Field(min_length=1, max_length=50)]
    public_key: PublicKeyIn
    ports: Annotated[list[Literal["listen", "contribute"]], Field(min_length=1, max_length=2)]


class RedeemIn(Strict):
    """The one-time code of an invitation."""

    code: Annotated[str, StringConstraints(min_length=20, max_length=200)]


Status = Literal["confirmed", "pending"]


class InvitationOut(BaseModel):
    """A code, told this once."""

    staff: str
    code: str


class LoadedOut(BaseModel):
    """changed: entries written, 0 when the same document was there. ended: listed, but deactivated for good."""

    changed: int
    invitations: list[InvitationOut]
    ended: list[str]
    status: Status


class ClockIn(Strict):
    """The moment that it is to be."""

    to: Moment


class ClockOut(BaseModel):
    """What time it is to all services. confirmed: every gateway able to answer goes by it."""

    now: str
    ahead_seconds: int
    status: Status


class StaffOut(BaseModel):
    """A member's right to act. Names stay inside."""

    staff: str
    role: str
    services: list[str]
    active: bool
    joined: bool
    status: Status


class AttachedOut(BaseModel):
    """A new attachment."""

    id: str
    opaque: str


class AttachmentOut(BaseModel):
    """An attachment. provisioned: its credential can be fetched."""

    id: str
    agency: str
    services: list[str]
    ports: list[str]
    opaque: str
    active: bool
    provisioned: bool
    status: Status


class CredentialOut(BaseModel):
    """The Kafka user, its password sealed to the agency's key, and where to use it."""

    user: str
    sealed: str
    bootstrap: str
    feed: str
    inbox: str


class AgesOut(BaseModel):
    """Years of age, both included."""

    from_: int = Field(alias="from")
    to: int


class ContactOut(BaseModel):
    """A way to reach a service."""

    kind: str
    value: str


class ServiceOut(BaseModel):
    """A service as anybody may see it. stale: its day of review has passed."""

    id: str
    agency: str
    agency_names: dict[str, str]
    district: str
    kind: str
    status: str
    ages: AgesOut
    area: str
    names: dict[str, str]
    responsibility: dict[str, str]
    contacts: list[ContactOut]
    reviewed: date
    review_due: date
    stale: bool
    version: int


class ServicesOut(BaseModel):
    """A page of services."""

    items: list[ServiceOut]
    next: str | None


class DifferenceOut(BaseModel):
    """Where the guide departs from its template: a step, or with `step` null the level itself or its criteria."""

    level: int
    step: str | None
    what: Literal["added", "changed", "dropped"]


class GuideOut(BaseModel):
    """A guide: levels as in the district's document, and where it departs from its template."""

    district: str
    version: int
    since: datetime
    owner: str
    reviewed: date
    review_due: date
    stale: bool
    ages: AgesOut
    template: str
    edition: str
    names: dict[str, str]
    tools: list[ToolIn]
    levels: list[LevelIn]
    differences: list[DifferenceOut]


class AgencyOut(BaseModel):
    """An agency as anybody may see it."""

    id: str
    orgnr: str
    sector: str
    parent: str | None
    names: dict[str, str]


class CategoryOut(BaseModel):
    """A category of information."""

    id: str
    special: bool
    names: dict[str, str]


class DistrictOut(BaseModel):
    """A district as anybody may see it. revision: grows with every change."""

    id: str
    municipality: str
    names: dict[str, str]
    settings: dict[str, Any]
    levels: list[int]
    agencies: list[AgencyOut]
    categories: list[CategoryOut]
    revision: int
