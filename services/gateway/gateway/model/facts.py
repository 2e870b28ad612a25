"""What a gateway knows: today's state of every subject and of the directory, held in memory, newest version only.

Immutable msgspec structs without garbage-collector tracking: a million grants must not cost a pause (DECISIONS.md).
"""

from collections.abc import Iterable
from typing import Any

import msgspec

READ, CONTRIBUTE = 1, 2
_ACTIONS = {"read": READ, "contribute": CONTRIBUTE}
BY_LAW = "parental"
"""The kind of grants that are sight in the guardians' place."""
EXCEPTION = "life-and-health"
"""The purpose of a grant that an exception for life and health has begun."""
SYSTEM_CATEGORIES = frozenset({"looks", "grants"})
"""Categories about the log itself; they are never in the directory."""


class Grant(msgspec.Struct, frozen=True, gc=False):
    """One recipient's right. `actions` is a mask; times are epoch seconds; `excluded` are staff ids."""

    id: str
    kind: str
    recipient: str
    categories: tuple[str, ...]
    actions: int
    purpose: str
    start: int
    until: int | None
    back: int | None
    excluded: tuple[str, ...]


class Request(msgspec.Struct, frozen=True, gc=False):
    """Who asks and who is asked; nothing of what."""

    id: str
    asker: str
    asked: tuple[str, ...]
    open: bool


class Keeping(msgspec.Struct, frozen=True, gc=False):
    """What is kept from those who see by law: whole categories, and items, each with its category."""

    categories: tuple[str, ...]
    items: tuple[tuple[str, str], ...]


class SubjectState(msgspec.Struct, frozen=True, gc=False):
    """The whole state of one subject. `closed`: the newest record could not be read, so everything is refused.

    recipients: that of each grant, in the same order; looking through them touches no grant (half the time of a
    decision at a million grants was waiting for memory). circle: under address protection, whom the subject's place is
    told; None: everybody who sees anything.
    """

    version: int
    grants: tuple[Grant, ...] = ()
    recipients: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()
    closed: bool = False
    circle: tuple[str, ...] | None = None
    kept: Keeping | None = None


class Entity(msgspec.Struct, frozen=True, gc=False):
    """One entry of the directory: agency, service, staff, attachment, category, district or the business clock.

    ahead: of the clock, in seconds.
    """

    version: int
    kind: str
    id: str
    active: bool = True
    agency: str | None = None
    services: tuple[str, ...] = ()
    role: str | None = None
    identity: str | None = None
    orgnr: str | None = None
    opaque: str | None = None
    ports: tuple[str, ...] = ()
    name: dict[str, str] | None = None
    ahead: int = 0


class _WireGrant(msgspec.Struct, gc=False):
    id: str
    kind: str
    recipient: str
    categories: list[str]
    actions: list[str]
    purpose: str
    start: int = msgspec.field(name="from")
    until: int | None = None
    back: int | None = None
    excluded: list[str] = msgspec.field(name="except", default=[])


class _WireRequest(msgspec.Struct, gc=False):
    id: str
    asker: str
    asked: list[str]
    open: bool


class _WireItem(msgspec.Struct, gc=False):
    id: str
    category: str


class _WireKept(msgspec.Struct, gc=False):
    categories: list[str]
    items: list[_WireItem]


class WireState(msgspec.Struct, gc=False):
    """consent.state.v1 as it is read: the slice that is relied on."""

    version: int
    subject: str
    grants: list[_WireGrant]
    requests: list[_WireRequest] = []
    circle: list[str] | None = None
    kept: _WireKept | None = None


_read_state = msgspec.json.Decoder(WireState).decode
_read_entity = msgspec.json.Decoder(Entity).decode


class Facts:
    """The projection. Every method is synchronous: what is applied is visible to the next decision, whole."""

    def __init__(self) -> None:
        self.subjects: dict[str, SubjectState] = {}
        self.directory: dict[str, Entity] = {}
        self.categories: set[str] = set(SYSTEM_CATEGORIES)
        self.unreadable = 0
        self._by_recipient: dict[str, set[str]] = {}
        self._by_identity: dict[str, str] = {}
        self._shared: dict[Any, Any] = {}
        self._acting: dict[tuple[str, str | None], frozenset[str]] = {}

    def apply_subject(self, subject: str, version: int | None, kind: str, value: bytes | None) -> bool:
        """Take one record of the consent state topic; False when it is not newer than what is held.

        A record that cannot be read, or of an unknown type, closes the subject until a readable one comes whose version
        is not below the one held (design.md rule 2).
        """
        held = self.subjects.get(subject)
        try:
            wire = _read_state(value or b"")
            readable = kind == "consent.state.v1" and wire.subject == subject and wire.version == version
        except msgspec.MsgspecError:
            readable = False
        if not readable:
            self.unreadable += 1
            kept = max(held.version if held else 0, version or 0)
            self._replace(subject, held, SubjectState(kept, closed=True))
            return True
        if held is not None and (wire.version < held.version or (wire.version == held.version and not held.closed)):
            return False
        self._replace(subject, held, self._state(wire))
        return True

    def _replace(self, subject: str, held: SubjectState | None, new: SubjectState) -> None:
        before = _recipients(held) if held else frozenset()
        after = _recipients(new)
        for recipient in before - after:
            known = self._by_recipient[recipient]
            known.discard(subject)
            if not known:
                del self._by_recipient[recipient]
        for recipient in after - before:
            self._by_recipient.setdefault(self._same(recipient), set()).add(subject)
        self.subjects[subject] = new

    def _state(self, wire: WireState) -> SubjectState:
        return SubjectState(
            wire.version,
            tuple(self._grant(found) for found in wire.grants),
            tuple(self._same(found.recipient) for found in wire.grants),
            tuple(Request(r.id, self._same(r.asker), tuple(r.asked), r.open) for r in wire.requests),
            circle=None if wire.circle is None else tuple(self._same(one) for one in wire.circle),
            kept=None if wire.kept is None else self._kept(wire.kept),
        )

    def _kept(self, wire: _WireKept) -> Keeping:
        items = tuple((one.id, self._same(one.category)) for one in wire.items)
        return Keeping(self._same(tuple(self._same(one) for one in wire.categories)), items)

    def _grant(self, wire: _WireGrant) -> Grant:
        mask = 0
        for action in wire.actions:
            mask |= _ACTIONS.get(action, 0)  # an unknown action allows nothing
        return Grant(
            wire.id, self._same(wire.kind), self._same(wire.recipient),
            self._same(tuple(self._same(category) for category in wire.categories)),
            mask, self._same(wire.purpose), wire.start, self._same(wire.until), wire.back,
            self._same(tuple(wire.excluded)),
        )  # fmt: skip

    def _same(self, value: Any) -> Any:
        """One shared object for equal values: recipients, categories and days of ending repeat in most grants."""
        return self._shared.setdefault(value, value)

    def apply_entity(self, key: str, version: int | None, kind: str, value: bytes | None) -> bool:
        """Take one record of the directory state topic, by the same rules as `apply_subject`."""
        held = self.directory.get(key)
        try:
            entity = _read_entity(value or b"")
            readable = (
                kind == "directory.state.v1" and f"{entity.kind}:{entity.id}" == key and entity.version == version
            )
        except msgspec.MsgspecError:
            readable = False
        if not readable:
            self.unreadable += 1
            head, _, tail = key.partition(":")
            kept = max(held.version if held else 0, version or 0)
            self._set_entity(key, held, Entity(kept, head, tail, active=False))
            return True
        if held is not None and entity.version < held.version:
            return False
        self._set_entity(key, held, entity)
        return True

    def _set_entity(self, key: str, held: Entity | None, new: Entity) -> None:
        if held is not None and held.identity is not None and self._by_identity.get(held.identity) == held.id:
            del self._by_identity[held.identity]
        self.directory[key] = new
        self._acting.clear()
        if new.kind == "category":
            (self.categories.add if new.active else self.categories.discard)(new.id)
        if new.identity is not None and new.active:
            self._by_identity[new.identity] = new.id

    def staff_by_identity(self, identity: str) -> Entity | None:
        """The staff member whose log-in this is, active or not matched: None."""
        found = self._by_identity.get(identity)
        return None if found is None else self.directory.get(f"staff:{found}")

    def agency_by_orgnr(self, orgnr: str) -> Entity | None:
        """The active agency with this organisation number."""
        return next((e for e in self.entities("agency") if e.orgnr == orgnr and e.active), None)

    def attachment_of(self, agency: str) -> Entity | None:
        """The active attachment of an agency."""
        return next((e for e in self.entities("attachment") if e.agency == agency and e.active), None)

    def entities(self, kind: str) -> Iterable[Entity]:
        """Every entry of one kind."""
        return (entity for entity in self.directory.values() if entity.kind == kind)

    def acts_for(self, kind: str, actor: str | None) -> frozenset[str]:
        """The recipients that this actor stands for today: a person, or every active service of staff and machines."""
        known = self._acting.get((kind, actor))
        if known is None:
            known = self._acts_for(kind, actor)
            if len(self._acting) > 50_000:
                self._acting.clear()
            self._acting[kind, actor] = known
        return known

    def _acts_for(self, kind: str, actor: str | None) -> frozenset[str]:
        if actor is None:
            return frozenset()
        if kind == "person":
            return frozenset({f"person:{actor}"})
        entity = self.directory.get(f"{'staff' if kind == 'staff' else 'attachment'}:{actor}")
        if entity is None or not entity.active:
            return frozenset()
        return frozenset(f"service:{service}" for service in entity.services if self._in_force(service))

    def _in_force(self, service: str) -> bool:
        found = self.directory.get(f"service:{service}")
        if found is None or not found.active:
            return False
        agency = self.directory.get(f"agency:{found.agency}")
        return agency is not None and agency.active

    def subjects_of(self, recipients: Iterable[str]) -> set[str]:
        """Subjects for which any of these holds a grant, asks or is asked. What of it is live, `decide` says."""
        found: set[str] = set()
        for recipient in recipients:
            found |= self._by_recipient.get(recipient, set())
        return found


def _recipients(state: SubjectState) -> frozenset[str]:
    found = set(state.recipients)
    for request in state.requests:
        found.add(request.asker)
        found.update(f"person:{person}" for person in request.asked)
    return frozenset(found)
