"""How long a gateway takes from its start to ready with many grants, and how long its loop stands still afterwards."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import psutil
from confluent_kafka import Producer

from chassis import events
from local_stack import services
from local_stack.processes import Child, until
from tests.bench.deciding import CATEGORIES, GRANTS_EACH, SERVICES
from tests.bench.report import Figure
from tests.bench.standing import Standing, as_module, progress, whole

SIZES = ((100_000, "<= 20", "5"), (1_000_000, "<= 90", "30"))
WATCHED_SECONDS = 20.0
CHANGES_A_SECOND = 100
PARTS = ("postgres", "kafka", "provisioner", "consent")
TOPIC = "consent.state.v1"
_SPACE = UUID("6f6a5a26-5a8e-4b1c-9f57-2f3d6a0f0001")


def subject_of(number: int) -> str:
    """The id of a synthetic subject."""
    return str(uuid5(_SPACE, str(number)))


def state(number: int, version: int) -> dict[str, Any]:
    """The whole state of one subject as `consent` publishes it: two services, the subject and a guardian."""
    subject, guardian = subject_of(number), str(uuid5(_SPACE, f"guardian {number}"))
    services_ = [f"service:s{number % SERVICES}", f"service:s{(number + 7) % SERVICES}"]
    grants = [
        {
            "id": str(uuid5(_SPACE, f"{number} {place} {version}")), "kind": "consent", "recipient": recipient,
            "categories": [CATEGORIES[(number + place) % 4], CATEGORIES[(number + place + 1) % 4]],
            "actions": ["read", "contribute"], "purpose": "follow-up", "basis": "gdpr-6-1-a+9-2-a",
            "from": 1_700_000_000, "until": 2_000_000_000, "back": None, "except": [],
        }
        for place, recipient in enumerate([*services_, f"person:{subject}", f"person:{guardian}"])
    ]  # fmt: skip
    return {"version": version, "subject": subject, "grants": grants, "requests": []}


class Filling:
    """Writes state records as `consent` does, and the rows that its leader compares them with."""

    def __init__(self, standing: Standing) -> None:
        vault = standing.site.vault
        self._database = standing.site.database("consent", driver="postgresql")
        self._producer = Producer({
            "bootstrap.servers": standing.site.bootstrap, "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "consent",
            "sasl.password": vault.word("kafka-consent"), "partitioner": "murmur2_random", "linger.ms": 20,
            "enable.idempotence": True, "queue.buffering.max.messages": 50_000, "log_level": 2,
        })  # fmt: skip

    def add(self, numbers: range) -> None:
        """New subjects: first the rows, then the records, so that the leader never sees a topic that is newer."""
        asyncio.run(self._rows(numbers))
        for number in numbers:
            self.put(number, 1)
        self.done()

    async def _rows(self, numbers: range) -> None:
        now, born = datetime.now(UTC), date(2011, 1, 1)
        conn = await asyncpg.connect(self._database)
        try:
            people = [(subject_of(n), b"", born, "bench", "nb", now) for n in numbers]
            columns = ["id", "names", "birth_date", "birth_source", "language", "created_at"]
            await conn.copy_records_to_table("person", records=people, columns=columns)
            subjects = [(subject_of(n), 1, 1, now) for n in numbers]
            columns = ["id", "version", "published_version", "created_at"]
            await conn.copy_records_to_table("subject", records=subjects, columns=columns)
        finally:
            await conn.close()

    def put(self, number: int, version: int) -> None:
        """One state record."""
        body = state(number, version)
        event = events.new_event("consent", TOPIC, body["subject"], body, datetime.now(UTC), version=version)
        headers: list[tuple[str, str | bytes | None]] = [*events.headers(event)]
        while True:
            try:
                return self._producer.produce(TOPIC, events.value(event), event.key, headers=headers)
            except BufferError:
                self._producer.poll(0.1)

    def done(self) -> None:
        """Everything is acknowledged."""
        if self._producer.flush(120):
            raise AssertionError("Kafka did not take the records")


def measure() -> Iterator[Figure]:
    """Start to ready for each size; the longest stall while CHANGES_A_SECOND states change, for the largest."""
    with whole(only=PARTS) as standing:
        for name, usual in (("gateway-new", 8085), ("gateway-new-operations", 8095)):
            standing.ports.find(name, usual)
        filling, filled = Filling(standing), 0
        for grants, must, aim in SIZES:
            filling.add(range(filled, grants // GRANTS_EACH))
            filled = grants // GRANTS_EACH
            progress(f"{grants:,} grants are on {TOPIC}")
            seconds, wall, cpu = _start(standing, filling, filled)
            standing.supervisor.check()
            yield Figure(f"gateway from start to ready with {grants:,} grants", seconds, "s", must, aim)
            told = f"longest stall of its loop in {WATCHED_SECONDS:.0f} s afterwards, {grants:,} grants"
            yield Figure(told, wall, "ms", "<= 100", "50")
            yield Figure(f"{told}, its own computing", cpu, "ms", "<= 100", "50")


def _start(standing: Standing, filling: Filling, subjects: int) -> tuple[float, float, float]:
    """Seconds to ready, and milliseconds of the longest stall afterwards: all of it, and the gateway's own share."""
    stalls = standing.site.state / "stalls"
    stalls.unlink(missing_ok=True)
    site = standing.site
    command = as_module(services.gateway(site, "gateway-new"), "tests.bench.watched", BENCH_STALLS=str(stalls))
    ready = f"{site.url('gateway-new-operations')}/ready"
    began = time.monotonic()
    child = Child(command)
    try:
        if not until(lambda: services.answers(ready), 300, child):
            raise AssertionError("the gateway is not ready:\n" + "\n".join(child.last_lines()))
        at = time.monotonic()
        _all_applied(f"{site.url('gateway-new-operations')}/metrics", subjects)
        process = psutil.Process(child.pid)
        spent = process.cpu_times()
        progress(
            f"ready after {at - began:.1f} s, {spent.user + spent.system:.1f} s of computing, "
            f"{process.memory_info().rss / 1e6:.0f} MB"
        )
        _changes(filling, subjects)
        lines = [json.loads(line) for line in stalls.read_text().splitlines()]
        after = [line for line in lines if line["at"] > at + 1.0]
        return at - began, max(line["wall"] for line in after), max(line["cpu"] for line in after)
    finally:
        child.stop()


def _all_applied(metrics: str, subjects: int) -> None:
    """Ready must not be said before everything that was there at the start is applied."""
    with urllib.request.urlopen(metrics, timeout=10) as answer:
        text = answer.read().decode()
    [line] = [one for one in text.splitlines() if one.startswith(f'samlogg_projection_records_total{{topic="{TOPIC}"')]
    if float(line.split()[-1]) < subjects:
        raise AssertionError(f"ready with {line.split()[-1]} of {subjects} states applied")


def _changes(filling: Filling, subjects: int) -> None:
    """States change while the loop is watched."""
    until_ = time.monotonic() + WATCHED_SECONDS
    number = 0
    while time.monotonic() < until_:
        for _ in range(CHANGES_A_SECOND // 10):
            number = (number + 7919) % subjects
            filling.put(number, 2)
        filling.done()
        time.sleep(0.1)
