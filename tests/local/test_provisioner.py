"""On a real broker everybody may do exactly what topics.toml and the directory say, and nothing else."""

import asyncio
import json
import logging
import secrets
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from confluent_kafka import Producer
from joserfc import jwe
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from chassis.events import Event, headers, new_event, value
from provisioner import bus, declared, model, quotas, work
from provisioner.settings import Settings
from tests.stack import Kafka

FILE = Path(__file__).parents[2] / "deploy" / "topics.toml"
DECLARED = declared.read(FILE)
KEY = RSAKey.generate_key(2048)


@pytest.fixture(scope="module")
def settings(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    users = tmp_path_factory.mktemp("users")
    for user in DECLARED.users:
        (users / user).write_text(secrets.token_urlsafe(24))
    return Settings(
        kafka_bootstrap=kafka.bootstrap, kafka_user=kafka.user, kafka_password=SecretStr(kafka.password), users=users,
        replicas=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def in_line(settings: Settings) -> Settings:
    work.once(settings, DECLARED)
    return settings


class Said:
    """The directory, as far as the provisioner hears it."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer({**settings.confluent, "partitioner": "murmur2_random", "log_level": 2})
        self._version = int(datetime.now(UTC).timestamp() * 1000)

    def _say(self, kind: str, identity: str, **fields: Any) -> None:
        self._version += 1
        data = {"version": self._version, "kind": kind, "id": identity, **fields}
        event = new_event("directory", "directory.state.v1", f"{kind}:{identity}", data, datetime.now(UTC))
        self._producer.produce("directory.state.v1", value(event), event.key.encode(), headers=[*headers(event)])
        assert self._producer.flush(10) == 0

    def agency(self, identity: str, *, active: bool = True) -> None:
        self._say("agency", identity, orgnr="999999999", name={}, active=active)

    def attachment(self, identity: str, opaque: str, *, active: bool = True, key: RSAKey = KEY) -> None:
        self._say(
            "attachment", identity, agency="police", services=["police"], opaque=opaque, active=active,
            public_key=key.as_dict(private=False), ports=["listen", "contribute"],
        )  # fmt: skip


def events_of(settings: Settings, attachment: str) -> list[str]:
    """The sealed passwords that were published for the attachment, oldest first."""
    return [one["sealed"] for one in asyncio.run(_events(settings)) if one.get("attachment") == attachment]


async def _events(settings: Settings) -> list[dict[str, Any]]:
    consumer = AIOKafkaConsumer(**settings.aiokafka, isolation_level="read_committed")
    await consumer.start()
    try:
        at = TopicPartition("provisioner.events.v1", 0)
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        end, found = (await consumer.end_offsets([at]))[at], []
        while await consumer.position(at) < end:
            found += [
                json.loads(one.value or b"")
                for batch in (await consumer.getmany(at, timeout_ms=500)).values()
                for one in batch
            ]
        return found
    finally:
        await consumer.stop()


@pytest.fixture(scope="module")
def attached(in_line: Settings) -> Iterator[tuple[Settings, Said, model.Attachment]]:
    said = Said(in_line)
    opaque = secrets.token_hex(5)
    said.agency("police")
    said.attachment("att-1", opaque)
    work.once(in_line, DECLARED)
    yield in_line, said, model.Attachment("att-1", opaque, model.Standing.OPEN, frozenset(), {})


def opened(sealed: str, key: RSAKey = KEY) -> str:
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    return (jwe.decrypt_compact(sealed, key, registry=registry).plaintext or b"").decode()


def as_user(settings: Settings, user: str, password: str) -> dict[str, Any]:
    return {
        **settings.aiokafka, "sasl_plain_username": user, "sasl_plain_password": password, "request_timeout_ms": 5000
    }  # fmt: skip


async def may_write(options: dict[str, Any], topic: str) -> bool:
    producer = AIOKafkaProducer(**options)
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"{}", b"key", partition=0), 10)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def may_read(options: dict[str, Any], topic: str, group: str) -> bool:
    consumer = AIOKafkaConsumer(
        topic, **options, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        await asyncio.wait_for(consumer.start(), 10)
        await consumer.getmany(timeout_ms=1)
        at = TopicPartition(topic, 0)
        await asyncio.wait_for(consumer.end_offsets([at]), 10)
        await consumer.commit({at: 0})
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError):
        return False
    finally:
        await consumer.stop()
    return True


def said(user: str) -> set[tuple[str, str]]:
    """Topic and operation that topics.toml gives to the user, read here anew from the file."""
    file = tomllib.loads(FILE.read_text())
    found = set[tuple[str, str]]()
    for name, topic in file["topic"].items():
        found |= {(name, "write")} if user in topic["writers"] else set()
        found |= {(name, "read")} if user in topic["readers"] else set()
        if topic.get("dead_letters"):
            found |= {(f"{name}.dlq", "write")} if user in topic["readers"] else set()
            found |= {(f"{name}.dlq", "read"), (name, "write")} if user == file["dead_letters"]["operator"] else set()
    return found


@pytest.mark.parametrize("user", DECLARED.users)
async def test_a_service_may_do_on_each_topic_exactly_what_the_file_says(in_line: Settings, user: str) -> None:
    password = (in_line.users / user).read_text()
    options = as_user(in_line, user, password)
    topics = [topic.name for topic in model.topics(DECLARED, (), 1)]
    assert len(topics) >= 13
    found = {(topic, "write"): await may_write(options, topic) for topic in topics}
    found |= {(topic, "read"): await may_read(options, topic, f"{user}-try-{i}") for i, topic in enumerate(topics)}
    assert {pair for pair, allowed in found.items() if allowed} == said(user)


async def test_no_service_may_use_the_group_or_the_transactional_id_of_another(in_line: Settings) -> None:
    options = as_user(in_line, "notify", (in_line.users / "notify").read_text())
    assert await may_read(options, "gateway.notices.v1", "notify-mine")
    assert not await may_read(options, "gateway.notices.v1", "logbook")
    producer = AIOKafkaProducer(**options, transactional_id="consent-leader")
    with pytest.raises(KafkaError, match=r"(?i)authoriz"):
        try:
            await asyncio.wait_for(producer.start(), 10)
        finally:
            await producer.stop()


async def test_nobody_comes_in_without_a_password(in_line: Settings) -> None:
    with pytest.raises((KafkaConnectionError, KafkaError)):
        producer = AIOKafkaProducer(bootstrap_servers=in_line.kafka_bootstrap, request_timeout_ms=1500)
        try:
            await producer.start()
        finally:
            await producer.stop()
    wrong = AIOKafkaProducer(**as_user(in_line, "gateway", "a wrong password"))
    with pytest.raises(KafkaError):
        try:
            await wrong.start()
        finally:
            await wrong.stop()


def test_a_second_round_changes_nothing(in_line: Settings, caplog: pytest.LogCaptureFixture) -> None:
    provisioner = work.Provisioner(in_line, DECLARED)
    provisioner.house()
    with caplog.at_level(logging.INFO, "provisioner"):
        caplog.clear()
        provisioner.house()
        reader = bus.Reader(in_line.confluent)
        reader.begin()
        reader.read(0)
        provisioner.agencies(reader)
        reader.close()
    # The run's Kafka is shared: other tests leave entries of their own kind on the directory's topic.
    done = [record.message for record in caplog.records if not record.message.startswith("an unreadable record")]
    assert done == []


async def test_an_agency_may_read_its_feed_and_write_its_inbox_and_nothing_else(
    attached: tuple[Settings, Said, model.Attachment],
) -> None:
    settings, said, mine = attached
    other = model.Attachment("att-2", secrets.token_hex(5), model.Standing.OPEN, frozenset(), {})
    said.attachment(other.id, other.opaque)
    await asyncio.to_thread(work.once, settings, DECLARED)
    password = opened((await asyncio.to_thread(events_of, settings, mine.id))[-1])
    options = as_user(settings, mine.user, password)
    topics = [topic.name for topic in model.topics(DECLARED, (mine, other), 1)]
    written = {topic for topic in topics if await may_write(options, topic)}
    read = {topic for i, topic in enumerate(topics) if await may_read(options, topic, f"{mine.user}-{i}")}
    assert (written, read) == ({mine.inbox}, {mine.feed})
    assert not await may_read(options, mine.feed, f"{other.user}-x")
    assert not await may_read(options, mine.feed, "gateway")


def test_a_credential_is_made_once_for_a_key_and_anew_for_another_key(
    attached: tuple[Settings, Said, model.Attachment],
) -> None:
    settings, said, mine = attached
    before = events_of(settings, mine.id)
    work.once(settings, DECLARED)
    assert events_of(settings, mine.id) == before
    newer = RSAKey.generate_key(2048)
    said.attachment(mine.id, mine.opaque, key=newer)
    work.once(settings, DECLARED)
    after = events_of(settings, mine.id)
    assert len(after) == len(before) + 1
    assert opened(after[-1], newer) != opened(before[-1])
    said.attachment(mine.id, mine.opaque)
    work.once(settings, DECLARED)


def test_a_credential_whose_event_was_lost_in_a_crash_is_made_again(
    attached: tuple[Settings, Said, model.Attachment], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, said, _ = attached
    opaque = secrets.token_hex(5)
    said.attachment("att-crash", opaque)

    def crash(_: object, __: Event) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bus, "publish", crash)
        with pytest.raises(KeyboardInterrupt):
            work.once(settings, DECLARED)
    assert events_of(settings, "att-crash") == []
    work.once(settings, DECLARED)
    assert len(events_of(settings, "att-crash")) == 1


async def test_an_attachment_that_has_ended_loses_its_user_and_its_rights(
    attached: tuple[Settings, Said, model.Attachment],
) -> None:
    settings, said, _ = attached
    gone = model.Attachment("att-gone", secrets.token_hex(5), model.Standing.OPEN, frozenset(), {})
    said.attachment(gone.id, gone.opaque)
    await asyncio.to_thread(work.once, settings, DECLARED)
    options = as_user(settings, gone.user, opened((await asyncio.to_thread(events_of, settings, gone.id))[-1]))
    connected = AIOKafkaProducer(**options)
    await connected.start()
    await connected.send_and_wait(gone.inbox, b"{}")
    said.attachment(gone.id, gone.opaque, active=False)
    await asyncio.to_thread(work.once, settings, DECLARED)
    # A connection that is open keeps living, without any right:
    with pytest.raises(TopicAuthorizationFailedError):
        await connected.send_and_wait(gone.inbox, b"{}")
    await connected.stop()
    again = AIOKafkaProducer(**options)
    with pytest.raises(KafkaError):
        try:
            await again.start()
        finally:
            await again.stop()


def test_every_attachment_has_its_quota_and_an_ended_one_none(
    attached: tuple[Settings, Said, model.Attachment],
) -> None:
    settings, said, mine = attached
    opaque = secrets.token_hex(5)
    said.attachment("att-short", opaque)
    work.once(settings, DECLARED)
    limits = {name: float(rate) for name, rate in DECLARED.agency.quota.model_dump().items()}
    there = asyncio.run(_quotas(settings))
    assert there[mine.user] == there[f"agency.{opaque}"] == limits
    said.attachment("att-short", opaque, active=False)
    work.once(settings, DECLARED)
    there = asyncio.run(_quotas(settings))
    assert there[mine.user] == limits
    assert f"agency.{opaque}" not in there


async def _quotas(settings: Settings) -> dict[str, dict[str, float]]:
    from aiokafka.admin import AIOKafkaAdminClient

    client = AIOKafkaAdminClient(**settings.aiokafka)
    await client.start()
    try:
        return await quotas._there(client)
    finally:
        await client.close()


def test_a_topic_with_other_partitions_is_for_people_to_decide(in_line: Settings) -> None:
    grown = DECLARED.topic["notify.events.v1"].model_copy(update={"partitions": 13})
    other = DECLARED.model_copy(update={"topic": {**DECLARED.topic, "notify.events.v1": grown}})
    with pytest.raises(work.OutOfLine, match=r"notify\.events\.v1 has 12"):
        work.Provisioner(in_line, other).house()


def test_a_rule_that_somebody_else_gave_to_a_service_is_taken_back(in_line: Settings) -> None:
    provisioner = work.Provisioner(in_line, DECLARED)
    extra = model.Rule("notify", "topic", "consent.state.v1", "read")
    provisioner._cluster.bring_rules({extra}, managed=lambda _: False)
    assert extra in provisioner._cluster.rules()
    work.once(in_line, DECLARED)
    assert extra not in provisioner._cluster.rules()
