"""What the directory refuses, and why: places and codes, never what was in the document."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. where: a path of field names and list positions. what: a stable code."""

    where: str
    what: str


class Refused(Exception):
    """The rules do not allow it; every finding is told at once."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(", ".join(sorted({finding.what for finding in findings})))
        self.findings = findings


class Unknown(Exception):
    """There is no such thing, or the caller may not know of it."""


class NotAllowed(Exception):
    """The caller's own record in the directory does not give this right."""


class InvitationRefused(Exception):
    """The invitation cannot be redeemed. reason: `not-valid`, `already-bound` or `assurance-too-low`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
