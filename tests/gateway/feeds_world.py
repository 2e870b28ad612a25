"""A small world for the feeds: two agencies with their services and staff, a youth, a guardian, and today's facts."""

import json
from typing import Any
from uuid import uuid4

from gateway.model.facts import Facts

YOUTH = "11111111-1111-4111-8111-111111111111"
GUARDIAN = "22222222-2222-4222-8222-222222222222"
SCHOOL_STAFF, NURSE, OFFICER = "teacher", "nurse", "officer"
SCHOOL, POLICE = "a-school", "a-police"
"""Ids of the two attachments."""


def grant(recipient: str, *categories: str, **more: Any) -> dict[str, Any]:
    """One grant of the state; from long ago, without an end, read and contribute."""
    return {
        "id": str(uuid4()), "kind": "consent", "recipient": recipient, "categories": list(categories),
        "actions": ["read", "contribute"], "purpose": "follow-up", "basis": "gdpr-6-1-a", "from": 0, "until": None,
        "back": None, "except": [],
    } | more  # fmt: skip


class World:
    """Facts that a test can change; versions grow by themselves."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.version = 0
        for category in ("school", "health", "police"):
            self.entity("category", category, special=False)
        for agency, service in (("education", "school"), ("education", "school-health"), ("police", "patrol")):
            self.entity("agency", agency, orgnr="312870134", active=True)
            self.entity("service", service, agency=agency, active=True)
        for staff, service in ((SCHOOL_STAFF, "school"), (NURSE, "school-health"), (OFFICER, "patrol")):
            self.entity("staff", staff, services=[service], role="professional", identity=None, active=True)
        self.attach(SCHOOL, "education", ["school", "school-health"])
        self.attach(POLICE, "police", ["patrol"])

    def entity(self, kind: str, id_: str, **more: Any) -> None:
        self.version += 1
        value = json.dumps({"version": self.version, "kind": kind, "id": id_} | more).encode()
        assert self.facts.apply_entity(f"{kind}:{id_}", self.version, "directory.state.v1", value)

    def attach(self, id_: str, agency: str, services: list[str], **more: Any) -> None:
        given: dict[str, Any] = {
            "agency": agency,
            "services": services,
            "opaque": f"o{id_}",
            "ports": ["listen", "contribute"],
            "active": True,
        }
        self.entity("attachment", id_, **(given | more))

    def state(
        self,
        *grants: dict[str, Any],
        subject: str = YOUTH,
        requests: list[dict[str, Any]] | None = None,
        kept: Any = None,
    ) -> int:
        """The subject's whole state from now on; its version."""
        held = self.facts.subjects.get(subject)
        version = (held.version if held else 0) + 1
        wire: dict[str, Any] = {"version": version, "subject": subject, "grants": list(grants)}
        wire |= {"requests": requests or [], "kept": kept}
        assert self.facts.apply_subject(subject, version, "consent.state.v1", json.dumps(wire).encode())
        return version

    def close(self, subject: str = YOUTH) -> None:
        self.facts.apply_subject(subject, None, "consent.state.v1", b"unreadable")
