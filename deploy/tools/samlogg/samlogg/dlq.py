"""Dead letters: which there are, why and from where, and playing them back to the topic they came from.

What was replayed is remembered as the offsets of the consumer group `operator.dlq`: everything before the committed
offset, and in the commit's metadata the ones replayed out of order. Kafka forgets a group a week after its last
commit; a letter replayed twice has no second effect, because every consumer knows the ids of what it has handled.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from samlogg.running import FILE_VARIABLE, USUAL_FILE

DLQ = ".dlq"
PREFIX = "dlq_"
GROUP = "operator.dlq"
USER = "operator"
_SECONDS = 20.0
_MOST_METADATA = 4_000  # Kafka takes 4096 bytes with a commit


class Trouble(Exception):
    """One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Kafka."""

    bootstrap: str
    user: str
    password: str = field(repr=False)
    tls: bool = False

    def options(self) -> dict[str, Any]:
        """For any aiokafka client."""
        return {
            "bootstrap_servers": self.bootstrap.split(","), "sasl_mechanism": "SCRAM-SHA-512",
            "security_protocol": "SASL_SSL" if self.tls else "SASL_PLAINTEXT", "sasl_plain_username": self.user,
            "sasl_plain_password": self.password, "client_id": GROUP,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `place` is where it lies now, `source` where it came from, both `partition:offset`."""

    topic: str
    place: str
    type: str
    id: str
    reason: str
    source: str
    consumer: str
    time: str
    replayed: bool


def letter(record: "ConsumerRecord[bytes, bytes]", replayed: bool) -> Letter:  # noqa: FBT001 - one of its fields
    """What can be told of a record without its content."""
    told = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    source = f"{told.get('dlq_partition', '?')}:{told.get('dlq_offset', '?')}"
    return Letter(
        told.get("dlq_topic") or record.topic.removesuffix(DLQ), f"{record.partition}:{record.offset}",
        told.get("ce_type", "?"), told.get("ce_id", "?"), told.get("dlq_reason", "?"), source,
        told.get("dlq_consumer", "?"), told.get("dlq_time", "?"), replayed,
    )  # fmt: skip


class Done:
    """Which offsets of one partition were replayed: all below `low`, and single ones above it."""

    def __init__(self, low: int = 0, above: Iterable[int] = ()) -> None:
        self.low, self.above = low, set(above)

    @classmethod
    def of(cls, found: OffsetAndMetadata | None) -> "Done":
        """From a commit; a commit of something else than this tool counts up to its offset."""
        if found is None:
            return cls()
        try:
            ranges = json.loads(found.metadata or "[]")
            return cls(found.offset, (one for first, last in ranges for one in range(first, last + 1)))
        except (ValueError, TypeError):
            return cls(found.offset)

    def __contains__(self, offset: int) -> bool:
        return offset < self.low or offset in self.above

    def add(self, offset: int, earliest: int) -> None:
        """Remember one. earliest: the first offset that the topic still holds; what is older counts as done."""
        self.above.add(offset)
        self.low = max(self.low, earliest)
        while self.low in self.above:
            self.low += 1
        self.above = {one for one in self.above if one >= self.low}

    def commit(self) -> OffsetAndMetadata:
        """As it is committed. Trouble when there is no room for so many single ones."""
        text = json.dumps(list(_ranges(sorted(self.above))), separators=(",", ":"))
        if len(text) > _MOST_METADATA:
            raise Trouble("Too many letters were replayed one by one to remember: replay the topic's older ones first.")
        return OffsetAndMetadata(self.low, text)


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for one in numbers:
        if last is not None and one == last + 1:
            last = one
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = one
    if first is not None and last is not None:
        yield first, last


class Box:
    """The dead-letter topics that this user may see."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._consumer, self._admin = consumer, admin

    async def topics(self) -> list[str]:
        """Their names, sorted."""
        return sorted(name for name in await self._consumer.topics() if name.endswith(DLQ))

    async def records(self, topic: str) -> list["tuple[ConsumerRecord[bytes, bytes], bool]"]:
        """Every record of one topic, oldest first, and whether it was replayed."""
        partitions = [TopicPartition(topic, n) for n in await self._partitions(topic)]
        # Asked for before and set in the step that assigns: the client's own reset may fail once and for good.
        offsets = await self._consumer.beginning_offsets(partitions)
        self._consumer.assign(partitions)
        for one in partitions:
            self._consumer.seek(one, offsets[one])
        ends = await self._consumer.end_offsets(partitions)
        if ends == offsets:
            return []
        done = await self._done(partitions)
        found = []
        async with asyncio.timeout(_SECONDS):
            while any([await self._consumer.position(one) < ends[one] for one in partitions]):
                for one, batch in (await self._consumer.getmany(timeout_ms=200)).items():
                    found += [(record, record.offset in done[one]) for record in batch if record.offset < ends[one]]
        return sorted(found, key=lambda pair: (pair[0].timestamp, pair[0].partition, pair[0].offset))

    async def remember(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        """The record was replayed."""
        one = TopicPartition(record.topic, record.partition)
        done = (await self._done([one]))[one]
        done.add(record.offset, (await self._consumer.beginning_offsets([one]))[one])
        await self._consumer.commit({one: done.commit()})

    async def _partitions(self, topic: str) -> list[int]:
        (found,) = await self._admin.describe_topics([topic])
        if found["error_code"] or not found["partitions"]:
            raise Trouble(f"There is no topic {topic} that may be read.")
        return sorted(one["partition"] for one in found["partitions"])

    async def _done(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Done]:
        found = await self._admin.list_consumer_group_offsets(GROUP, partitions=partitions)
        committed = {one: found.get(one) for one in partitions}
        return {
            one: Done.of(None if offset is None or offset.offset < 0 else offset) for one, offset in committed.items()
        }


async def replay(box: Box, producer: AIOKafkaProducer, topic: str, place: str | None) -> list[Letter]:
    """Send one letter, or all that were not replayed yet, to the topic they came from; the ones that were sent.

    The event is the same to the byte: value, key, headers, and so its id. It goes to the partition of its key.
    """
    chosen = [
        record
        for record, replayed in await box.records(topic)
        if (not replayed if place is None else f"{record.partition}:{record.offset}" == place)
    ]
    if place is not None and not chosen:
        raise Trouble(f"There is no letter at {place} in {topic}.")
    sent = []
    for record in chosen:
        headers = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
        target = topic.removesuffix(DLQ)
        async with asyncio.timeout(_SECONDS):
            await producer.send_and_wait(target, record.value, record.key, headers=headers)
        await box.remember(record)
        sent.append(letter(record, replayed=True))
    return sent


@asynccontextmanager
async def opened(access: Access) -> AsyncIterator[tuple[Box, AIOKafkaProducer]]:
    """Clients for one command."""
    consumer = AIOKafkaConsumer(
        **access.options(), group_id=GROUP, enable_auto_commit=False, auto_offset_reset="none",
        isolation_level="read_committed",
    )  # fmt: skip
    admin = AIOKafkaAdminClient(**access.options())
    producer = AIOKafkaProducer(**access.options(), acks="all", enable_idempotence=True)
    try:
        async with asyncio.timeout(_SECONDS):
            await consumer.start()
            await producer.start()
            await admin.start()
        yield Box(consumer, admin), producer
    finally:
        await admin.close()
        await producer.stop()
        await consumer.stop()


def access(given: argparse.Namespace) -> Access:
    """From the options, else SAMLOGG_KAFKA_*, else from the file that says what runs on this machine."""
    bootstrap = given.bootstrap or os.environ.get("SAMLOGG_KAFKA_BOOTSTRAP")
    if bootstrap:
        user = os.environ.get("SAMLOGG_KAFKA_USER", USER)
        password = os.environ.get("SAMLOGG_KAFKA_PASSWORD", "")
        if given.password_file:
            password = Path(given.password_file).read_text().strip()
        return Access(bootstrap, user, password, os.environ.get("SAMLOGG_KAFKA_TLS", "") in ("1", "true"))
    file = Path(os.environ.get(FILE_VARIABLE, "") or USUAL_FILE)
    try:
        world = json.loads(file.read_text())
        return Access(world["kafka"], USER, (Path(world["kafka_users"]) / USER).read_text().strip())
    except (OSError, ValueError, LookupError) as error:
        raise Trouble(f"{file} does not say where Kafka is ({type(error).__name__}); is the system up?") from error


async def work(given: argparse.Namespace) -> dict[str, Any]:
    """Do what is asked; the answer as data."""
    async with opened(access(given)) as (box, producer):
        if given.command == "list":
            topics = [_dead(given.topic)] if given.topic else await box.topics()
            pairs = []
            for place, topic in enumerate(topics, 1):
                print(f"reading {place} of {len(topics)}: {topic}", file=sys.stderr)
                pairs += await box.records(topic)
            found = [letter(record, done) for record, done in pairs if given.all or not done]
            return {"letters": [asdict(one) for one in found]}
        topic = _dead(given.topic)
        if given.command == "replay":
            return {"replayed": [asdict(one) for one in await replay(box, producer, topic, given.place)]}
        for record, done in await box.records(topic):
            if f"{record.partition}:{record.offset}" == given.place:
                return {"letter": asdict(letter(record, done)), **_content(record)}
    raise Trouble(f"There is no letter at {given.place} in {topic}.")


def _dead(topic: str) -> str:
    return topic if topic.endswith(DLQ) else topic + DLQ


def _content(record: "ConsumerRecord[bytes, bytes]") -> dict[str, Any]:
    headers = [[name, value.decode("utf-8", "replace")] for name, value in record.headers]
    key, value = (None if one is None else one.decode("utf-8", "replace") for one in (record.key, record.value))
    return {"key": key, "headers": headers, "value": value}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="samlogg dlq", description="Dead letters: list, show, replay")
    made.add_argument("--bootstrap", help="Kafka's address (else SAMLOGG_KAFKA_BOOTSTRAP, else what runs here)")
    made.add_argument("--password-file", help="file with the operator's password")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="as JSON")
    commands = made.add_subparsers(dest="command")
    listing = commands.add_parser("list", parents=[shared], help="what waits, with reason and place")
    listing.add_argument("topic", nargs="?", help="only this topic")
    listing.add_argument("--all", action="store_true", help="the replayed ones too")
    showing = commands.add_parser("show", parents=[shared], help="one letter with its headers and content")
    showing.add_argument("topic")
    showing.add_argument("place", help="partition:offset, as in the list")
    playing = commands.add_parser("replay", parents=[shared], help="send one letter, or all, to where it came from")
    playing.add_argument("topic")
    which = playing.add_mutually_exclusive_group(required=True)
    which.add_argument("place", nargs="?", help="partition:offset, as in the list")
    which.add_argument("--all", action="store_true", help="every one that was not replayed yet")
    return made


def write(found: dict[str, Any], as_json: bool) -> None:  # noqa: FBT001
    """The answer on the terminal."""
    letters = found.get("letters", found.get("replayed"))
    if as_json or letters is None:
        print(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))
        return
    if not letters:
        print("no dead letters" if "letters" in found else "nothing to replay")
    for topic, group in groupby(letters, key=lambda one: one["topic"]):
        print(topic)
        for one in group:
            done = "  replayed" if one["replayed"] else ""
            print(f"  {one['place']}  {one['type']}  {one['id']}{done}")
            print(f"      {one['reason']}")
            print(f"      from {one['source']}, set aside by {one['consumer']} at {one['time']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; without one, `list`. 0, or 2 with one sentence."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    known = parser()
    given = known.parse_args(words)
    if given.command is None:
        given = known.parse_args([*words, "list"])
    try:
        write(asyncio.run(work(given)), given.json)
    except (Trouble, OSError, KafkaError) as error:
        print(error if isinstance(error, Trouble) else f"Kafka: {type(error).__name__}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
