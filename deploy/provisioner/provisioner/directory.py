"""The slice of directory.state.v1 that the provisioner relies on: attachments, and whether their agency is active."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from provisioner.model import Attachment, Standing

TOPIC = "directory.state.v1"
_log = logging.getLogger(__name__)
_KEY = re.compile(r"^(attachment|agency):(.{1,120})$")


class AttachmentState(BaseModel):
    """directory.state.v1 of an attachment; other fields are ignored."""

    version: int
    kind: Literal["attachment"]
    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    agency: str
    opaque: str = Field(pattern=r"^[a-z0-9-]{4,64}$")
    public_key: dict[str, Any]
    ports: frozenset[str]
    active: bool


class AgencyState(BaseModel):
    """directory.state.v1 of an agency; other fields are ignored."""

    version: int
    kind: Literal["agency"]
    id: str
    active: bool


@dataclass(slots=True)
class Directory:
    """What the topic has said so far. A record that cannot be read closes its key until a readable one comes whose
    version is not below the one held; a record older than the one held is ignored.
    """

    unreadable: int = 0
    _held: dict[str, AttachmentState | AgencyState] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def apply(self, key: bytes | None, kind: str | None, value: bytes | None) -> bool:
        """Take one record in; True if it may change what there should be on Kafka. Barriers and other kinds do not."""
        named = _KEY.match((key or b"").decode("utf-8", "replace"))
        if named is None or kind == "consent.barrier.v1":
            return False
        whole = named.group()
        state = _read(named[1], named[2], value) if kind == TOPIC else None
        if state is None:
            self.unreadable += 1
            self._closed.add(whole)
            _log.error("an unreadable record closes %s", whole)
            return True
        held = self._held.get(whole)
        if held is not None and state.version < held.version:
            return False
        self._closed.discard(whole)
        self._held[whole] = state
        return True

    def attachments(self) -> list[Attachment]:
        """Every attachment ever read, as it stands now."""
        return [self._attachment(key, state) for key, state in self._held.items() if isinstance(state, AttachmentState)]

    def _attachment(self, key: str, state: AttachmentState) -> Attachment:
        found = Attachment(state.id, state.opaque, Standing.ENDED, state.ports, state.public_key)
        agency_key = f"agency:{state.agency}"
        agency = self._held.get(agency_key)
        if not state.active and key not in self._closed:
            return found
        open_ = isinstance(agency, AgencyState) and agency.active and not {key, agency_key} & self._closed
        return replace(found, standing=Standing.OPEN if open_ else Standing.CLOSED)


def _read(kind: str, identity: str, value: bytes | None) -> AttachmentState | AgencyState | None:
    shape: type[AttachmentState] | type[AgencyState] = AttachmentState if kind == "attachment" else AgencyState
    try:
        data: Mapping[str, Any] = json.loads(value or b"")
        state = shape.model_validate(data)
    except (ValueError, ValidationError):
        return None
    return state if state.id == identity else None
