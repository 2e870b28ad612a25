"""Kafka stops under a running gateway: no answer that needs a record, withdrawing goes on, all catches up by itself."""

import asyncio
import base64
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiokafka import AIOKafkaProducer

from gateway.model.handles import agency_audience, person_audience
from local_stack.ports import any_port
from local_stack.processes import Child, Command
from tests import stack
from tests.gateway import door_parts
from tests.gateway.door_parts import grant
from tests.gateway.test_door_app import Running, contracts, owner_server, settings, topics


@pytest.fixture
def own_kafka() -> Iterator[stack.Kafka]:
    """A broker of this test's own, because it is stopped in the middle."""
    with stack.Local().kafka() as broker:
        yield broker


def process_of(kafka: stack.Kafka) -> psutil.Process:
    """The broker that this test started, by its port."""
    port = int(kafka.bootstrap.rsplit(":", 1)[1])
    for child in psutil.Process().children(recursive=True):
        if any(found.laddr.port == port and found.status == "LISTEN" for found in child.net_connections("tcp")):
            return child
    raise AssertionError("this test's broker is not there")


@asynccontextmanager
async def gateway_process(
    kafka: stack.Kafka, postgres: stack.Postgres, folder: Path
) -> AsyncIterator[tuple[Running, Child]]:
    topics(kafka)
    port = any_port()
    async with owner_server() as (owner, owner_port):
        chosen = settings(kafka, postgres.fresh_database("gateway"), contracts(folder / "contracts"), owner_port)
        given = {f"SAMLOGG_{name.upper()}": _text(name, value) for name, value in chosen if value is not None}
        environment = {**os.environ, **given, "SAMLOGG_PORT": str(port), "PYTHONPATH": str(stack.ROOT)}
        command = [sys.executable, "-m", "tests.gateway.door_process"]
        child = Child(Command(command, stack.ROOT, environment, folder / "gateway.log"))
        producer = AIOKafkaProducer(**kafka.options, acks="all")
        await producer.start()
        try:
            running = Running(None, ("127.0.0.1", port), owner, producer, chosen.operations_port)
            for category in ("school", "health"):
                await running.entity("category", category)
            await running.entity("agency", "police")
            await running.entity("service", "police-1", agency="police")
            await running.entity("attachment", "attachment-1", agency="police", services=["police-1"])
            await _answers(running)
            yield running, child
        finally:
            child.kill()
            await producer.stop()


def _text(name: str, value: Any) -> str:
    if name in ("inner_key", "handle_key", "session_key", "identity_key") or name.startswith("inner_key_"):
        return base64.b64encode(value.get_secret_value()).decode()
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


async def _answers(running: Running) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            await running.get("/nothing")
            return
        except aiohttp.ClientError:
            assert time.monotonic() < end, "the gateway does not start"
            await asyncio.sleep(0.1)


async def test_kafka_down_stops_answers_and_lets_withdrawals_through(
    own_kafka: stack.Kafka, postgres: stack.Postgres, tmp_path: Path
) -> None:
    async with gateway_process(own_kafka, postgres, tmp_path) as (running, child):
        path = f"/subjects/{running.handle(agency_audience('police'))}/items"
        await running.state(grant("g1", "service:police-1", ["school"]))
        await running.until(path, 200)

        broker = process_of(own_kafka)
        broker.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            status, body = await running.get(path)
            assert (status, body["type"]) == (503, "urn:samlogg:problem:record-unavailable")
            assert time.monotonic() - began < 4.5
            status, body = await running.get("/subjects/nobody/items")
            assert (status, body["type"]) == (503, "urn:samlogg:problem:record-unavailable")

            youth = door_parts.YOUTH.id or ""
            handle = running.handle(person_audience(youth), youth)
            url = f"{running.base}/subjects/{handle}/withdrawals"
            headers = {"authorization": "Bearer youth", "content-type": "application/json"}
            wish = b'{"recipient": "service:police-1"}'
            async with aiohttp.ClientSession() as client, client.post(url, data=wish, headers=headers) as told:
                assert (told.status, (await told.json())["status"]) == (202, "pending")
        finally:
            broker.send_signal(signal.SIGCONT)
        await running.until(path, 200, within=30)

        began = time.monotonic()
        child.stop()
        assert time.monotonic() - began < 5.0
        log = (tmp_path / "gateway.log").read_text()
        assert all(json.loads(line)["level"] != "critical" for line in log.splitlines()), log
