"""The events that notify publishes, and the slices that it reads of others' events. None of them holds content."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TOPIC = "notify.events.v1"
NOTICES = "gateway.notices.v1"
DIRECTORY = "directory.state.v1"

NOTICE_SENT = "notice.sent.v1"
NOTICE_FAILED = "notice.failed.v1"
NOTICE_DUE = "notice.due.v1"
NOTICE_REVOKED = "notice.revoked.v1"
DIRECTORY_CHANGED = "directory.state.v1"

Id = Annotated[str, Field(min_length=1, max_length=64)]
Recipient = Annotated[str, Field(pattern=r"^(person|staff):[A-Za-z0-9-]{1,64}$")]


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_NOTICE = "b54b6c3e-51c8-4d4a-8f0c-3b7d3f9a6e02"


class NoticeSent(_Published):
    """notice.sent.v1: the mail server took the e-mail over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"notice": _NOTICE}]})

    notice: Id


class NoticeFailed(_Published):
    """notice.failed.v1: there will be no e-mail about this notice. `reason` is a code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"notice": _NOTICE, "reason": "address-refused"}]})

    notice: Id
    reason: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


PUBLISHED: dict[str, dict[str, type[BaseModel]]] = {TOPIC: {NOTICE_SENT: NoticeSent, NOTICE_FAILED: NoticeFailed}}
"""Topic, type, and the form of the data."""


class _Slice(BaseModel):
    """What is relied on of another service's event; everything else in it is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class NoticeDue(_Slice):
    """notice.due.v1: somebody is to be told that there is something to see. The gateway has decided that they may."""

    notice: Id
    recipient: Recipient
    cause: Id


class NoticeRevoked(_Slice):
    """notice.revoked.v1: what the notice was about may no longer be seen; do not send it if it still waits."""

    notice: Id
    recipient: Recipient


class ClockState(_Slice):
    """directory.state.v1 of kind `clock`: how many seconds the business clock is ahead. Other kinds are not read."""

    kind: Literal["clock"]
    ahead: int


CONSUMED: dict[str, dict[str, type[BaseModel]]] = {
    NOTICES: {NOTICE_DUE: NoticeDue, NOTICE_REVOKED: NoticeRevoked},
    DIRECTORY: {DIRECTORY_CHANGED: ClockState},
}
"""Topic, type, and the slice that is relied on."""
