"""Looks for canaries wherever the system leaves something: in bytes as they lie, and as base64, hex or percent text."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from story.steps.mail import read_all, readable
from tests.stack import Kafka

CORE = "kanari"
"""What every word of ours begins with."""

_INDEXES = frozenset({".index", ".timeindex", ".snapshot"})
"""Kafka's index files: offsets and times in fixed places, ten megabytes of zeroes each."""


class Search:
    """Looks for what is common to all words (so that half a canary is found too), and for each number."""

    def __init__(self, planted: Mapping[str, str]) -> None:
        self._where = {form.lower(): where for canary, where in planted.items() for form in forms(canary)}
        self._quick = {form.lower() for form in forms(CORE)}
        self._quick |= {form.lower() for canary in planted if canary.isdigit() for form in forms(canary)}

    def hits(self, place: str, content: bytes) -> list[str]:
        """A sentence for each canary that is in the content; never the canary itself."""
        folded = content.lower()
        if not any(form in folded for form in self._quick):
            return []
        found = {where for form, where in self._where.items() if form in folded}
        return [f"{place} holds {where}" for where in sorted(found or {"a piece of a canary"})]


def forms(canary: str) -> set[bytes]:
    """The canary as it is, in UTF-16, in hex, and in base64 at each of its three places (without the blurred ends)."""
    plain = canary.encode()
    found = {plain, canary.encode("utf-16-le"), plain.hex().encode()}
    for shift in range(3):
        sure = (shift + len(plain)) // 3 * 4
        found.add(base64.b64encode(b"\0" * shift + plain)[(0, 2, 3)[shift] : sure])
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came upon, and over how much."""

    hits: list[str]
    bytes: int
    places: int


def gather(search: Search, parts: Iterable[tuple[str, bytes]]) -> Found:
    """Search all parts, each by its name."""
    hits, size, places = [], 0, 0
    for place, content in parts:
        hits += search.hits(place, content)
        size, places = size + len(content), places + 1
    return Found(hits, size, places)


def files(search: Search, folder: Path) -> Found:
    """Every file below the folder."""
    hits, size, places = [], 0, 0
    for path in sorted(folder.rglob("*")):
        if path.suffix in _INDEXES or not path.is_file() or not path.stat().st_size:
            continue
        content = path.read_bytes()
        hits += search.hits(str(path.relative_to(folder)), content)
        size, places = size + len(content), places + 1
    return Found(hits, size, places)


async def records(bus: Kafka) -> list[tuple[str, bytes]]:
    """Every record of every topic as a consumer decodes it: key, headers and value, aborted transactions too."""
    found: list[tuple[str, bytes]] = []
    topics = bus.admin.list_topics(timeout=20).topics
    found.append(("the names of topics", " ".join(topics).encode()))
    partitions = [TopicPartition(t, p) for t, one in topics.items() if not t.startswith("__") for p in one.partitions]
    consumer = AIOKafkaConsumer(**bus.options, enable_auto_commit=False, isolation_level="read_uncommitted")
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while [one for one in partitions if await consumer.position(one) < ends[one]]:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    headers = b" ".join(name.encode() + b"=" + value for name, value in record.headers)
                    whole = b" ".join((record.key or b"", headers, record.value or b""))
                    found.append((f"a record of {record.topic}", whole))
    finally:
        await consumer.stop()
    return found


async def publish(bus: Kafka, topic: str, canary: str) -> None:
    """One record with the canary in a header, as our producers send it."""
    producer = AIOKafkaProducer(**bus.options)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}", headers=[("ce_subject", canary.encode())])
    finally:
        await producer.stop()


async def rows(databases: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Every row of every table as text: bytes come out as hex."""
    found: list[tuple[str, bytes]] = []
    for name, address in databases.items():
        connection = await asyncpg.connect(address.replace("+asyncpg", ""))
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in tables:
                for (row,) in await connection.fetch(f'SELECT t::text FROM "{table}" t'):
                    found.append((f"the table {table} of {name}", row.encode()))
        finally:
            await connection.close()
    return found


def spans(zipkin: str) -> list[tuple[str, bytes]]:
    """Every trace of every service, as Zipkin's API gives it."""
    found = []
    with httpx.Client(base_url=f"{zipkin}/api/v2", timeout=60) as http:
        for service in http.get("/services").raise_for_status().json():
            for kind in ("spans", "remoteServices"):
                named = http.get(f"/{kind}", params={"serviceName": service}).raise_for_status()
                found.append((f"the names of {service}'s {kind}", named.content))
            asked = {"serviceName": service, "limit": "100000", "lookback": str(86_400_000)}
            found.append((f"a trace of {service}", http.get("/traces", params=asked).raise_for_status().content))
    return found


def metrics(addresses: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """/metrics and /ready of every process."""
    found = []
    with httpx.Client(timeout=10) as http:
        for part, address in addresses.items():
            for path in ("metrics", "ready"):
                found.append((f"/{path} of {part}", http.get(f"{address}/{path}").content))
    return found


def mails(mailbox: Path, allowed: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Every mail, undone from its transfer encoding too, without the addresses that mails were meant to go to."""
    for mail in read_all(mailbox):
        text = bytes(mail)
        for address in allowed:
            text = text.replace(address.encode(), b"")
        yield "an e-mail", text + b"\n" + readable(mail).encode()


def settled(databases: Mapping[str, str], seconds: float = 30.0) -> None:
    """Wait until every outbox is empty, so that what will be published has been."""

    async def empty() -> bool:
        for name in ("consent", "logbook", "notify", "gateway"):
            connection = await asyncpg.connect(databases[name].replace("+asyncpg", ""))
            try:
                if await connection.fetchval("SELECT count(*) FROM outbox"):
                    return False
            finally:
                await connection.close()
        return True

    async def wait() -> None:
        async with asyncio.timeout(seconds):
            while not await empty():
                await asyncio.sleep(0.2)

    asyncio.run(wait())
