"""The event that the provisioner publishes, and the slices that it reads of the directory's state."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from provisioner.directory import TOPIC as DIRECTORY
from provisioner.directory import AgencyState, AttachmentState

TOPIC = "provisioner.events.v1"
PROVISIONED = "attachment.provisioned.v1"


class AttachmentProvisioned(BaseModel):
    """attachment.provisioned.v1: the attachment's Kafka user, and its password sealed to the agency's key (JWE)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "attachment": "46951c97-c75a-467e-9a95-9b2993ff9ce3",
                    "user": "agency.6b1f0a9c2d4e8f70",
                    "sealed": "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIn0.c2VhbGVk.aXY.dGV4dA.dGFn",
                }
            ]
        },
    )

    attachment: str
    user: str
    sealed: str


PUBLISHED: dict[str, dict[str, type[BaseModel]]] = {TOPIC: {PROVISIONED: AttachmentProvisioned}}
"""Topic, type, and the form of the data."""

CONSUMED: dict[str, dict[str, Any]] = {DIRECTORY: {DIRECTORY: AttachmentState | AgencyState}}
"""Topic, type, and the slice that is relied on. Other kinds of entries are not read."""
