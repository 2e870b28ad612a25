"""What databases and topics hold at the end of a race, read past every link once all is quiet."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from local_stack import kafka
from local_stack.services import Site
from tests.races.fleet import direct
from tests.races.judge import Looks
from tests.races.waiting import Kept
from tests.races.wire import now

ACCESS, STATE, TOLD, CHANGED = "gateway.access.v1", "consent.state.v1", "consent.events.v1", "logbook.events.v1"
Raw: TypeAlias = "ConsumerRecord[bytes, bytes]"


@dataclass
class Stores:
    """Everything that is judged of the stores."""

    looks: Looks
    unledgered: list[str]
    """Records on the topic that the ledger does not have."""
    withdrawals: dict[str, tuple[str, bool]]
    """Each withdrawal: whose, and is it confirmed?"""
    ended: dict[str, str]
    """Each grant that a withdrawal ended, by that withdrawal."""
    acts_in_ledger: frozenset[str]
    """Grants whose withdrawal has its own record in the ledger."""
    pending: int
    live: dict[tuple[str, str], frozenset[str]]
    """Categories in force by subject and service, as the database has it."""
    behind: list[str]
    """Subjects whose last record on the state topic is not the database's version."""
    entries: dict[str, str]
    """Each entry's subject."""
    kept: dict[str, Kept]
    """When each withdrawal was written down, published and confirmed."""
    doubled_events: int
    gaps: int
    """Chains of the ledger whose numbers have a gap or a double."""
    counts: dict[str, int] = field(default_factory=dict)


async def settle(site: Site, seconds: float = 120.0) -> float:
    """Wait until nothing is pending, every outbox is empty and the ledger is at the topic's end; seconds it took."""
    began = now()
    ends = await _ends(site, ACCESS)
    while now() - began < seconds:
        consent = await asyncpg.connect(direct(site, "consent"))
        logbook = await asyncpg.connect(direct(site, "logbook"))
        try:
            left = await consent.fetchval("SELECT count(*) FROM change WHERE state = 'pending'")
            left += await consent.fetchval("SELECT count(*) FROM outbox")
            left += await logbook.fetchval("SELECT count(*) FROM outbox")
        finally:
            await consent.close()
            await logbook.close()
        if left == 0 and await _taken(site) >= sum(ends.values()):
            return now() - began
        await asyncio.sleep(0.5)
    return now() - began


async def _taken(site: Site) -> int:
    """How far the ledger's group has come on the access topic, all partitions together."""
    consumer = AIOKafkaConsumer(**_options(site), group_id="consent", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = await _partitions(site, ACCESS)
        found = [await consumer.committed(one) or 0 for one in partitions]
    finally:
        await consumer.stop()
    return sum(found)


def _options(site: Site) -> dict[str, Any]:
    return {
        "bootstrap_servers": site.bootstrap, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": kafka.ADMIN, "sasl_plain_password": site.vault.word("kafka-admin"),
    }  # fmt: skip


async def _partitions(site: Site, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**_options(site))
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return [TopicPartition(topic, part["partition"]) for part in found["partitions"]]


async def _ends(site: Site, topic: str) -> Mapping[TopicPartition, int]:
    consumer = AIOKafkaConsumer(**_options(site))
    await consumer.start()
    try:
        found: Mapping[TopicPartition, int] = await consumer.end_offsets(await _partitions(site, topic))
        return found
    finally:
        await consumer.stop()


async def _records(site: Site, topic: str) -> list[Raw]:
    """The whole topic."""
    consumer = AIOKafkaConsumer(
        **_options(site), isolation_level="read_committed", auto_offset_reset="earliest", max_poll_records=5_000
    )
    await consumer.start()
    found: list[Raw] = []
    try:
        partitions = await _partitions(site, topic)
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, begins[partition])
        deadline = now() + 120
        while now() < deadline and any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    finally:
        await consumer.stop()
    return found


def _header(record: Raw, name: str) -> str:
    return next((value.decode() for key, value in record.headers if key == name), "")


async def read(site: Site, traces: str) -> Stores:
    """All of it. `traces`: how the traces of this race's clients begin."""
    of_trace: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    looked: set[str] = set()
    held: set[str] = set()
    for record in await _records(site, ACCESS):
        kind, value = _header(record, "ce_type"), json.loads(record.value or b"{}")
        if kind == "access.held-back.v1":
            held.add(value["record"])
            continue
        looked.add(value["id"])
        trace = _header(record, "traceparent")[3:35]
        if trace.startswith(traces):
            of_trace[trace][value["id"]] = frozenset(value["grants"])
    newest: dict[str, int] = {}
    published: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for record in await _records(site, STATE):
        key = (record.key or b"").decode()
        version = int(_header(record, "ce_aggregateversion") or 0)
        newest[key] = max(newest.get(key, 0), version)
        published[key].append((version, record.timestamp / 1_000))
    doubled = _doubled(await _records(site, TOLD)) + _doubled(await _records(site, CHANGED))
    return await _databases(site, of_trace, looked, held, newest, published, doubled)


def _first_with(published: Iterable[tuple[int, float]], version: int) -> float | None:
    """When the first record that holds this version was written."""
    return min((at for held, at in published if held >= version), default=None)


def _doubled(records: Iterable[Raw]) -> int:
    """Events that say the same under two ids. The relay may repeat an event: then its id is the same."""
    ids: dict[tuple[str, bytes], set[str]] = defaultdict(set)
    for record in records:
        if _header(record, "ce_type") != "consent.horizon-passed.v1":
            ids[_header(record, "ce_type"), record.value or b""].add(_header(record, "ce_id"))
    return sum(len(found) - 1 for found in ids.values())


async def _databases(
    site: Site, of_trace: Mapping[str, Mapping[str, frozenset[str]]], looked: set[str], held: set[str],
    newest: Mapping[str, int], published: Mapping[str, list[tuple[int, float]]], doubled: int,
) -> Stores:  # fmt: skip
    consent = await asyncpg.connect(direct(site, "consent"))
    logbook = await asyncpg.connect(direct(site, "logbook"))
    try:
        ledger = frozenset(row[0] for row in await consent.fetch("SELECT id FROM ledger"))
        gaps = await consent.fetchval(
            "SELECT count(*) FROM (SELECT chain FROM ledger GROUP BY chain"
            " HAVING count(*) <> max(sequence) OR count(DISTINCT sequence) <> count(*)) AS wrong"
        )
        acts = await consent.fetch(
            "SELECT unnest(grants) FROM ledger WHERE position(convert_to('consent.withdraw', 'UTF8') IN canonical) > 0"
        )
        withdrawals = await consent.fetch(
            "SELECT id::text, subject::text, state, version, extract(epoch FROM created_at)::float AS created,"
            " extract(epoch FROM confirmed_at)::float AS confirmed FROM change WHERE kind = 'withdrawn'"
        )
        ended = await consent.fetch(
            "SELECT grants.id::text, ended::text FROM grants JOIN change ON change.id = ended"
            " WHERE change.kind = 'withdrawn'"
        )
        live = await consent.fetch("SELECT subject::text, recipient, categories FROM grants WHERE ended IS NULL")
        versions = await consent.fetch("SELECT id::text, version FROM subject")
        pending = await consent.fetchval("SELECT count(*) FROM change WHERE state = 'pending'")
        entries = await logbook.fetch("SELECT id, subject FROM item WHERE kind = 'entry'")
    finally:
        await consent.close()
        await logbook.close()
    in_force: dict[tuple[str, str], frozenset[str]] = defaultdict(frozenset)
    for subject, recipient, categories in live:
        in_force[subject, recipient] |= frozenset(categories)
    counts = Counter({"records": len(looked), "held_back": len(held), "ledger": len(ledger)})
    return Stores(
        Looks(of_trace, frozenset(held), ledger), sorted(looked - ledger),
        {row[0]: (row[1], row[2] == "confirmed") for row in withdrawals}, {row[0]: row[1] for row in ended},
        frozenset(row[0] for row in acts), pending, dict(in_force),
        [subject for subject, version in versions if newest.get(subject, 0) != version],
        {row[0]: row[1] for row in entries},
        {row[0]: Kept(row[4], _first_with(published[row[1]], row[3]), row[5]) for row in withdrawals},
        doubled, gaps, dict(counts),
    )  # fmt: skip
