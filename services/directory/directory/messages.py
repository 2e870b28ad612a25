"""Events of the directory: the state it publishes, and the slices of others' events that it reads."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

STATE_TOPIC = "directory.state.v1"
STATE_TYPE = "directory.state.v1"
PROVISIONER_TOPIC = "provisioner.events.v1"
PROVISIONED_TYPE = "attachment.provisioned.v1"
CONSENT_TOPIC = "consent.events.v1"
HORIZON_TYPE = "consent.horizon-passed.v1"

Names = dict[str, str]


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1)
    id: str


class CategoryState(_State):
    """A category of information. It is never taken back: grants name it."""

    kind: Literal["category"]
    special: bool
    names: Names


class AgencyState(_State):
    """An agency; its organisation number is a machine's identity."""

    kind: Literal["agency"]
    orgnr: str
    name: Names
    active: bool


class ServiceState(_State):
    """A service that consent can be given to. `service_kind`: what sort of service it is (school, health, …)."""

    kind: Literal["service"]
    agency: str
    district: str
    name: Names
    active: bool
    service_kind: str | None = None


class StaffState(_State):
    """The right to act for services. `identity`: keyed hash of the login; null before it is bound and after leaving."""

    kind: Literal["staff"]
    services: list[str]
    role: Literal["professional", "leader", "admin", "privacy-officer"]
    identity: str | None
    active: bool


class AttachmentState(_State):
    """An agency's own door: its ports, the services behind it, and the key that its credential is sealed to."""

    kind: Literal["attachment"]
    agency: str
    services: list[str]
    opaque: str
    public_key: dict[str, str]
    ports: list[Literal["listen", "contribute"]]
    active: bool


class DistrictState(_State):
    """A district: the levels of its guide, and its settings."""

    kind: Literal["district"]
    levels: list[int]
    settings: dict[str, Any]


class ClockState(_State):
    """How many seconds the business clock is ahead, in a synthetic installation. It never goes back."""

    kind: Literal["clock"]
    ahead: int = Field(ge=0)


Entity = Annotated[
    CategoryState | AgencyState | ServiceState | StaffState | AttachmentState | DistrictState | ClockState,
    Field(discriminator="kind"),
]

EXAMPLES: list[JsonValue] = [
    {"version": 3, "kind": "district", "id": "gamlebyen", "levels": [0, 1, 2, 3], "settings": {"log_from_level": 1}},
    {
        "version": 1, "kind": "category", "id": "school", "special": False,
        "names": {"nb": "Skole", "nn": "Skule", "en": "School", "se": "Skuvla"},
    },
    {
        "version": 1, "kind": "agency", "id": "education-agency", "orgnr": "312870134", "active": True,
        "name": {"nb": "Utdanningsetaten", "en": "Education agency"},
    },
    {
        "version": 2, "kind": "service", "id": "gamlebyen-school", "agency": "education-agency",
        "district": "gamlebyen", "name": {"nb": "Gamlebyen skole", "en": "Gamlebyen school"}, "active": True,
        "service_kind": "school",
    },
    {
        "version": 2, "kind": "staff", "id": "231b6df1-fae4-4dad-8009-e3c073086a97", "services": ["gamlebyen-school"],
        "role": "professional", "identity": "9f" * 32, "active": True,
    },
    {
        "version": 1, "kind": "attachment", "id": "46951c97-c75a-467e-9a95-9b2993ff9ce3",
        "agency": "education-agency", "services": ["gamlebyen-school"], "opaque": "6b1f0a9c2d4e8f70",
        "public_key": {"kty": "RSA", "n": "sXch", "e": "AQAB", "alg": "RSA-OAEP-256", "use": "enc"},
        "ports": ["listen", "contribute"], "active": True,
    },
    {"version": 1, "kind": "clock", "id": "business", "ahead": 31536000},
]  # fmt: skip
"""One of each kind, the golden example first."""


class DirectoryState(RootModel[Entity]):
    """directory.state.v1: one entry as it is now; its key on the topic is `<kind>:<id>`."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})


PUBLISHED: dict[str, dict[str, type[BaseModel]]] = {STATE_TOPIC: {STATE_TYPE: DirectoryState}}
"""Topic, type, and the form of the data."""


def state_of(
    kind: str, id_: str, version: int, body: dict[str, Any], *, active: bool, identity: str | None
) -> dict[str, Any]:
    """What is published of a stored entity: validated, so that nothing else ever gets out."""
    head = {"kind": kind, "id": id_, "version": version}
    fields: dict[str, dict[str, Any]] = {
        "category": {"special": body.get("special"), "names": body.get("names")},
        "agency": {"orgnr": body.get("orgnr"), "name": body.get("names"), "active": active},
        "service": {
            "agency": body.get("agency"), "district": body.get("district"), "name": body.get("names"), "active": active,
            "service_kind": body.get("kind"),
        },
        "staff": {
            "services": body.get("services"), "role": body.get("role"), "active": active,
            "identity": identity if active else None,
        },
        "attachment": {
            "active": active,
            **{name: body.get(name) for name in ("agency", "services", "opaque", "public_key", "ports")},
        },
        "district": {"levels": body.get("levels"), "settings": body.get("settings")},
        "clock": {"ahead": body.get("ahead")},
    }  # fmt: skip
    return DirectoryState.model_validate({**head, **fields[kind]}).root.model_dump(mode="json")


class HorizonPassed(BaseModel):
    """From consent: everybody able to answer has applied the topic's partition up to `position` (exclusive)."""

    topic: str
    partition: int = Field(ge=0)
    position: int = Field(ge=0)


class AttachmentProvisioned(BaseModel):
    """From the provisioner: the attachment's Kafka user, and its password sealed to the agency's key."""

    attachment: str = Field(min_length=1, max_length=64)
    user: str = Field(min_length=1, max_length=200)
    sealed: str = Field(min_length=1, max_length=8000)


CONSUMED: dict[str, dict[str, type[BaseModel]]] = {
    CONSENT_TOPIC: {HORIZON_TYPE: HorizonPassed},
    PROVISIONER_TOPIC: {PROVISIONED_TYPE: AttachmentProvisioned},
}
"""Topic, type, slice."""
