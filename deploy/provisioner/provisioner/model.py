"""What there should be on Kafka: topics and rules, from the declarations and the attachments. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from provisioner.declared import AgencyTopics, Declarations, Declared

AGENCY = "agency."
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; `config` holds only what we set, as Kafka writes it."""

    name: str
    partitions: int
    config: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """`user` may do `operation` on the resource; `prefixed`: on all that begin with the name."""

    user: str
    kind: str
    name: str
    operation: str
    prefixed: bool = False


class Standing(Enum):
    """What the directory says of an attachment."""

    OPEN = "open"
    ENDED = "ended"
    """It said so: the user goes, and does not come back."""
    CLOSED = "closed"
    """Its record, or its agency's, cannot be read or says no: no rights until one says yes; the user stays."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An agency's attachment. `opaque` names its topics and its user and says nothing about the agency."""

    id: str
    opaque: str
    standing: Standing
    ports: frozenset[str]
    public_key: Mapping[str, object]

    @property
    def user(self) -> str:
        """The Kafka user."""
        return f"{AGENCY}{self.opaque}"

    @property
    def feed(self) -> str:
        """The topic it may read."""
        return f"{self.user}.feed.v1"

    @property
    def inbox(self) -> str:
        """The topic it may write."""
        return f"{self.user}.inbox.v1"


def topics(declared: Declarations, attachments: Iterable[Attachment], replicas: int) -> list[Topic]:
    """Every topic that should be there, with its dead letters; an attachment's stay when it has ended."""
    found = [Topic(name, topic.partitions, _config(topic, replicas)) for name, topic in declared.topic.items()]
    letters = declared.dead_letters
    kept = _kept(letters.retention_days, replicas)
    dead = [name for name, topic in declared.topic.items() if topic.dead_letters]
    for attachment in attachments:
        config = _kept(declared.agency.retention_days, replicas)
        found += [Topic(name, declared.agency.partitions, config) for name in (attachment.feed, attachment.inbox)]
        dead.append(attachment.inbox)
    return found + [Topic(f"{name}.dlq", letters.partitions, kept) for name in dead]


def _config(topic: Declared, replicas: int) -> tuple[tuple[str, str], ...]:
    if topic.retention_days is not None:
        return _kept(topic.retention_days, replicas)
    lag = (topic.min_compaction_lag_hours or 0) * _HOUR_MS
    return _common("compact", replicas, ("min.compaction.lag.ms", str(lag)))


def _kept(days: int, replicas: int) -> tuple[tuple[str, str], ...]:
    return _common("delete", replicas, ("retention.ms", str(days * _DAY_MS)))


def _common(cleanup: str, replicas: int, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (
        ("cleanup.policy", cleanup),
        ("min.insync.replicas", str(max(1, replicas - 1))),
        ("unclean.leader.election.enable", "false"),
        *more,
    )


def rules(declared: Declarations, attachments: Iterable[Attachment]) -> set[Rule]:
    """Everything that anybody but the admin may do. What is not here is refused by Kafka's authorizer."""
    found: set[Rule] = set()
    for user in declared.users:
        found |= _own(user)
    letters = declared.dead_letters.operator
    for name, topic in declared.topic.items():
        found |= {Rule(user, "topic", name, "write") for user in topic.writers}
        found |= {Rule(user, "topic", name, "read") for user in topic.readers}
        if topic.dead_letters:
            found |= _dead_letters(name, topic.readers, letters)
    for attachment in attachments:
        if attachment.standing is not Standing.ENDED:
            found |= _house_side(attachment, declared.agency, letters)
        if attachment.standing is Standing.OPEN:
            found |= _agency_side(attachment)
    return found


def _own(user: str) -> set[Rule]:
    return {
        Rule(user, "group", user, "read", prefixed=True),
        Rule(user, "transactional_id", user, "write", prefixed=True),
        Rule(user, "transactional_id", user, "describe", prefixed=True),
        Rule(user, "broker", "kafka-cluster", "idempotent_write"),
    }


def _dead_letters(topic: str, writers: Iterable[str], operator: str) -> set[Rule]:
    """The operator reads dead letters, and plays them back to where they came from."""
    found = {Rule(user, "topic", f"{topic}.dlq", "write") for user in writers}
    return found | {Rule(operator, "topic", f"{topic}.dlq", "read"), Rule(operator, "topic", topic, "write")}


def _house_side(attachment: Attachment, agency: AgencyTopics, operator: str) -> set[Rule]:
    found = {Rule(user, "topic", attachment.feed, "write") for user in agency.feed_writers}
    found |= {Rule(user, "topic", attachment.inbox, "read") for user in agency.inbox_readers}
    return found | _dead_letters(attachment.inbox, agency.inbox_readers, operator)


def _agency_side(attachment: Attachment) -> set[Rule]:
    user, found = attachment.user, set[Rule]()
    if "listen" in attachment.ports:
        found |= {
            Rule(user, "topic", attachment.feed, "read"),
            Rule(user, "group", user, "read", prefixed=True),
        }
    if "contribute" in attachment.ports:
        found.add(Rule(user, "topic", attachment.inbox, "write"))
    return found


def managed(user: str, declared: Declarations) -> bool:
    """Is it ours to say what this user may do? Rules of other users of a shared broker are left alone."""
    return user in declared.users or user.startswith(AGENCY)
