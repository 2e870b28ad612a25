"""Invitations: how a login becomes a member of staff, once and for certain."""

from dataclasses import dataclass
from datetime import datetime

from directory.model.refusals import InvitationRefused


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time code, kept as a keyed hash only."""

    staff: str
    expires: datetime
    redeemed: datetime | None


@dataclass(frozen=True, slots=True)
class Redeemer:
    """Who redeems. login: keyed hash of issuer and subject. bound: the staff record that this login already has."""

    kind: str
    assurance: str
    login: str | None
    bound: str | None


def redeemed(invitation: Invitation | None, *, open_: bool, by: Redeemer, now: datetime) -> str:
    """The identity to bind. open_: the staff record is active and nobody is bound to it.

    A code that never was, was used, has expired or belongs to somebody who has left is refused with one and the same
    reason, so that guessing teaches nothing.
    """
    if by.kind != "staff" or by.login is None:
        raise InvitationRefused("not-valid")
    if by.assurance != "high":
        raise InvitationRefused("assurance-too-low")
    if invitation is None or invitation.redeemed is not None or invitation.expires <= now or not open_:
        raise InvitationRefused("not-valid")
    if by.bound is not None:
        raise InvitationRefused("already-bound")
    return by.login
