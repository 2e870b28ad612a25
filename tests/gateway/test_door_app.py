"""The whole gateway on real parts: Kafka, PostgreSQL, a source over HTTP; only log-in and the leader are scripted."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import aiohttp
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from fastapi import Depends, FastAPI, Request
from uvicorn.server import ServerState

from chassis import problems
from chassis.http import answer
from chassis.permit import Signed, signed_request
from gateway.app import Gateway, create_app
from gateway.handlers.gathering import NotRecorded
from gateway.handlers.records import TOPIC, KafkaRecords, Look
from gateway.messages import AccessRecorded
from gateway.model.handles import Handles, agency_audience
from gateway.settings import Settings
from local_stack.ports import any_port
from tests import stack
from tests.gateway.door_parts import POLICE, Known, entry, grant, identify, item, serve
from tests.gateway.test_records import NOW, look

INNER = b"i" * 32
TOPICS = {"consent.state.v1": 12, "directory.state.v1": 1, TOPIC: 12, "consent.events.v1": 12, "logbook.events.v1": 12}


def key(letter: bytes) -> str:
    return base64.b64encode(letter * 32).decode()


class Owner:
    """A leader that grants leases, and a source that answers what it is permitted to show."""

    def __init__(self) -> None:
        self.lease = 5.0
        self.reports: list[dict[str, Any]] = []
        self.items = [item("a", "school"), item("b", "health")]
        self.app = FastAPI(openapi_url=None)
        problems.install(self.app)
        consent = signed_request(INNER, "consent", time.time)
        logbook = signed_request(INNER, "logbook", time.time)

        @self.app.post("/inner/heartbeat")
        async def heartbeat(request: Request, signed: Annotated[Signed, Depends(consent)]) -> dict[str, float]:
            assert signed.actor.kind == "gateway"
            self.reports.append(await request.json())
            return {"lease": self.lease}

        @self.app.post("/subjects/{subject}/withdrawals", status_code=202)
        async def withdraw(subject: str, signed: Annotated[Signed, Depends(consent)]) -> dict[str, str]:
            assert signed.permit is None
            assert signed.actor.id == subject
            return {"id": "w1", "status": "pending"}

        @self.app.get("/subjects/{subject}/items")
        async def items(subject: str, signed: Annotated[Signed, Depends(logbook)]) -> Any:
            permit = signed.content()
            assert permit.subject == subject
            shown = [one for one in self.items if permit.allows(one["category"])]
            return answer({"items": [{**one, "subject": subject} for one in shown], "next": None})


class Running:
    """A gateway that is being served, and the bus it reads."""

    def __init__(
        self, app: Gateway | None, address: tuple[str, int], owner: Owner, producer: AIOKafkaProducer, operations: int
    ) -> None:
        self.app, self.owner, self.operations = app, owner, operations
        self.base = f"http://{address[0]}:{address[1]}"
        self.child = str(uuid4())
        self._producer = producer
        self._version = 0

    def handle(self, audience: str = agency_audience("police"), subject: str | None = None) -> str:
        return Handles(b"h" * 32).to_handle(audience, subject or self.child)

    async def state(self, *grants: Any) -> Any:
        """Publish the child's whole state as `consent` does; where it lies on the bus."""
        self._version += 1
        value = {"version": self._version, "subject": self.child, "grants": list(grants), "requests": []}
        return await self._put("consent.state.v1", self.child, "consent.state.v1", self._version, value)

    async def entity(self, kind: str, name: str, **more: Any) -> None:
        """Publish one entry as `directory` does."""
        value = {"version": 1, "kind": kind, "id": name, "active": True, **more}
        await self._put("directory.state.v1", f"{kind}:{name}", "directory.state.v1", 1, value)

    async def _put(self, topic: str, name: str, kind: str, version: int, value: Any) -> Any:
        headers = [("ce_type", kind.encode()), ("ce_aggregateversion", str(version).encode())]
        return await self._producer.send_and_wait(topic, json.dumps(value).encode(), name.encode(), headers=headers)

    async def get(self, path: str, who: str = "police") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {who}"}
        async with aiohttp.ClientSession() as client, client.get(self.base + path, headers=headers) as told:
            return told.status, await told.json(content_type=None)

    async def until(self, path: str, status: int, within: float = 20.0) -> Any:
        end = time.monotonic() + within
        while True:
            found, body = await self.get(path)
            if found == status:
                return body
            assert time.monotonic() < end, f"still {found}"
            await asyncio.sleep(0.05)


def settings(kafka: stack.Kafka, database: str, contracts: Path, owner: int, **more: Any) -> Settings:
    url = f"http://127.0.0.1:{owner}"
    given: dict[str, Any] = {
        "mode": "synthetic", "database_url": database, "inner_key": key(b"i"), "contracts": contracts,
        "consent_urls": url, "directory_url": url, "logbook_url": url, "notify_url": url,
        **{f"inner_key_{name}": key(b"i") for name in ("consent", "directory", "logbook", "notify")},
        "handle_key": key(b"h"), "session_key": key(b"s"), "identity_key": key(b"d"),
        "public_url": "http://localhost:8000", "audience": "samlogg", "issuer_citizen": "http://localhost:1/idporten",
        "issuer_staff": "http://localhost:1/ansattporten", "issuer_machine": "http://localhost:1/maskinporten",
        "client_id": "gateway", "client_secret": "secret", "operations_port": any_port(), **kafka.settings, **more,
    }  # fmt: skip
    return Settings(**given)


def contracts(folder: Path) -> Path:
    withdraw = {"action": "none", "basis": "self", "lease": "none", "record": False}
    tables = {
        "logbook": [entry("logbook.items", "GET", "/subjects/{subject}/items", me=True)],
        "consent": [entry("consent.withdraw", "POST", "/subjects/{subject}/withdrawals", **withdraw)],
    }
    for service in ("consent", "directory", "logbook", "notify"):
        (folder / service / "contract").mkdir(parents=True)
        (folder / service / "contract" / "routes.json").write_text(json.dumps(tables.get(service, [])))
    return folder


def topics(kafka: stack.Kafka) -> None:
    there = kafka.admin.list_topics(timeout=5).topics
    for name, partitions in TOPICS.items():
        for topic, number in ((name, partitions), (f"{name}.dlq", 1)):
            if topic not in there:
                kafka.make_topic(topic, number)


@asynccontextmanager
async def owner_server() -> AsyncIterator[tuple[Owner, int]]:
    owner = Owner()
    config = uvicorn.Config(owner.app, lifespan="off", log_config=None, access_log=False)
    config.load()
    protocol: Any = config.http_protocol_class
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield owner, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()


@pytest.fixture
async def running(kafka: stack.Kafka, postgres: stack.Postgres, tmp_path: Path) -> AsyncIterator[Running]:
    topics(kafka)
    async with owner_server() as (owner, port):
        chosen = settings(kafka, postgres.fresh_database("gateway"), contracts(tmp_path), port)
        app = create_app(chosen)

        async def known(scope: Any) -> Known:
            return await identify(scope)

        app.door._identify = known
        producer = AIOKafkaProducer(**kafka.options, acks="all")
        await producer.start()
        try:
            async with app.router.lifespan_context(app), serve(app) as address:
                gateway = Running(app, address, owner, producer, chosen.operations_port)
                for category in ("school", "health"):
                    await gateway.entity("category", category)
                await gateway.entity("agency", "police")
                await gateway.entity("service", "police-1", agency="police")
                await gateway.entity("attachment", "attachment-1", agency="police", services=["police-1"])
                yield gateway
        finally:
            await producer.stop()


async def records_of(kafka: stack.Kafka, subject: str, count: int) -> list[tuple[str, Any]]:
    """Type and data of the access records under this key."""
    consumer = AIOKafkaConsumer(**kafka.options, auto_offset_reset="earliest", isolation_level="read_committed")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TOPIC, n) for n in range(12)])
        await consumer.seek_to_beginning()
        found: list[tuple[str, Any]] = []
        end = time.monotonic() + 10
        while len(found) < count and time.monotonic() < end:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += [
                    (dict(one.headers)["ce_type"].decode(), json.loads(one.value or b""))
                    for one in batch
                    if one.key == subject.encode()
                ]
        return found
    finally:
        await consumer.stop()


@pytest.mark.requirement("F073")
async def test_a_read_is_decided_cut_recorded_and_ends_with_the_grant(running: Running, kafka: stack.Kafka) -> None:
    path = f"/subjects/{running.handle()}/items"
    await running.state(grant("g1", "service:police-1", ["school"]))
    body = await running.until(path, 200)
    assert body == (await running.get(f"{path}?kind=%22x%22&after=a%2Fb+c"))[1]
    assert body == {"items": [{**running.owner.items[0], "subject": running.handle()}], "next": None}
    await running.state()
    refusal = await running.until(path, 404)
    assert refusal == (await running.get("/subjects/nobody/items"))[1]

    found = await records_of(kafka, running.child, 2)
    answered = [AccessRecorded.model_validate(data) for kind, data in found if data.get("outcome") == "answered"]
    assert {(one.subject, tuple(one.grants), tuple(one.categories)) for one in answered} == {
        (running.child, ("g1",), ("school",))
    }
    refused = [data for _, data in found if data.get("outcome") == "refused"]
    assert refused
    assert refused[-1]["reason"] == "no-grant"
    assert running.owner.reports[-1]["positions"]["directory.state.v1:0"][1] >= 5


async def test_without_a_leader_there_are_no_answers_and_it_is_not_ready(running: Running) -> None:
    path = f"/subjects/{running.handle()}/items"
    await running.state(grant("g1", "service:police-1", ["school"]))
    await running.until(path, 200)
    operations = f"http://127.0.0.1:{running.operations}"
    async with aiohttp.ClientSession() as client:

        async def asked(where: str) -> tuple[int, str]:
            async with client.get(operations + where) as told:
                return told.status, await told.text()

        assert (await asked("/live"))[0] == 200
        end = time.monotonic() + 20
        while (await asked("/ready"))[0] != 200:
            assert time.monotonic() < end, await asked("/ready")
            await asyncio.sleep(0.1)
        running.owner.lease = 0.0
        body = await running.until(path, 503, within=6)
        assert body["type"] == "urn:samlogg:problem:freshness-unknown"
        status, ready = await asked("/ready")
        assert (status, json.loads(ready)["waiting"]) == (503, {"lease": "no lease: freshness unknown"})
        metrics = (await asked("/metrics"))[1]
        assert 'samlogg_decisions_total{basis="grant",outcome="allowed"}' in metrics
        assert 'samlogg_door_answers_total{route="logbook.items",status="503"}' in metrics
        assert running.child not in metrics
        assert running.handle() not in metrics
    status, _ = await running.get("/metrics")
    assert status == 404, "the public door must not show metrics"


async def test_identitys_own_paths_are_served_beside_the_door(running: Running) -> None:
    status, body = await running.get("/session", who="nonsense")
    assert (status, body["status"]) == (401, 401)
    await running.state(grant("g1", "service:police-1", ["school"]))
    await running.until(f"/subjects/{running.handle()}/items", 200)
    assert running.app is not None
    door = running.app.door
    assert (running.child, ["service"]) in door._door.relations(POLICE)


async def test_a_look_that_the_broker_does_not_take_is_not_recorded_and_keeps_nobody_waiting(
    kafka: stack.Kafka,
) -> None:
    def producer() -> AIOKafkaProducer:
        return AIOKafkaProducer(**kafka.options, acks="all", enable_idempotence=True)

    records = KafkaRecords(producer, lambda: NOW, topic=f"missing.{uuid4()}", seconds=0.5)
    await records.open()
    began = time.monotonic()
    try:
        with pytest.raises(NotRecorded):
            await (await records.send(look()))
        assert time.monotonic() - began < 1.5
        assert records.trouble() is not None
    finally:
        await records.close()


async def test_a_look_that_the_broker_took_is_on_the_topic_when_it_is_called_durable(kafka: stack.Kafka) -> None:
    topic = kafka.fresh_topic(12, name="access")
    records = KafkaRecords(lambda: AIOKafkaProducer(**kafka.options, acks="all"), lambda: NOW, topic=topic)
    await records.open()
    consumer = AIOKafkaConsumer(**kafka.options)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, n) for n in range(12)]
        consumer.assign(partitions)
        for n in range(1, 4):
            await (await records.send(Look(**{**_fields(look()), "id": f"look-{n}"})))
            ends = await consumer.end_offsets(partitions)
            assert sum(ends.values()) == n
        assert len([end for end in ends.values() if end]) == 1, "one subject, one partition"
    finally:
        await consumer.stop()
        await records.close()


def _fields(one: Look) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Look.__slots__}
