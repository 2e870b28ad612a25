"""The school's program at the agency's Kafka door: its key pair, its credential, and the pointers it is sent."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from joserfc import jwe
from joserfc.jwk import RSAKey

from story.door import Caller
from story.narrative import UnexpectedError


def key_pair(path: Path) -> RSAKey:
    """The key pair in the file; made at the first call, readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = RSAKey.generate_key(3072, auto_kid=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made.as_dict(private=True), file)
    return RSAKey.import_key(json.loads(path.read_text()))


def public_jwk(pair: RSAKey) -> dict[str, Any]:
    """The half that the credential is sealed to."""
    return {**pair.as_dict(private=False), "use": "enc", "alg": "RSA-OAEP-256"}


@dataclass(frozen=True, slots=True)
class Pointer:
    """One event of the feed."""

    id: str
    handle: str
    what: str
    partition: int
    position: int


@dataclass
class Feed:
    """What came on the feed since it was opened (from the beginning of the topic), doubles included."""

    pointers: list[Pointer] = field(default_factory=list)
    at_end: bool = False

    async def caught_up(self, seconds: float = 30.0) -> set[str]:
        """The handles of earlier families, once the reader has come to the end of the feed."""
        async with asyncio.timeout(seconds):
            while not self.at_end:  # noqa: ASYNC110 (set by the reader's task)
                await asyncio.sleep(0.05)
        return {pointer.handle for pointer in self.pointers}

    def about(self, handle: str, since: int = 0) -> list[Pointer]:
        """The pointers about one handle, without the first `since` of the feed."""
        return [pointer for pointer in self.pointers[since:] if pointer.handle == handle]

    async def new_handle(self, known: set[str], seconds: float = 30.0) -> str:
        """Wait for a pointer to somebody who is not known yet."""
        async with asyncio.timeout(seconds):
            while not (found := {pointer.handle for pointer in self.pointers} - known):  # noqa: ASYNC110 (as below)
                await asyncio.sleep(0.05)
        return found.pop()

    async def more_than(self, count: int, handle: str, seconds: float = 30.0) -> list[Pointer]:
        """Wait until there are more than `count` pointers about the handle; all of them."""
        async with asyncio.timeout(seconds):
            while len(found := self.about(handle)) <= count:  # noqa: ASYNC110 (filled by the reader's task)
                await asyncio.sleep(0.05)
        return found


async def credential(caller: Caller, attachment: str, pair: RSAKey, seconds: float = 30.0) -> dict[str, Any]:
    """`{user, password, bootstrap, feed, inbox}` once the provisioner has made them."""
    path = f"/attachments/{attachment}/credential"
    for _ in range(int(seconds / 0.2)):
        answer = await caller.ask("GET", path)
        if answer.status_code == 200 and answer.json().get("sealed"):
            body: dict[str, Any] = answer.json()
            registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
            password = jwe.decrypt_compact(body.pop("sealed"), pair, registry=registry).plaintext
            return {**body, "password": (password or b"").decode()}
        await asyncio.sleep(0.2)
    raise UnexpectedError(f"the credential of {caller.who} was not there after {seconds:.0f} s ({answer.status_code})")


def consumer(given: dict[str, Any], *topics: str, group: str | None = None) -> AIOKafkaConsumer:
    """A consumer with the agency's own user; without a group it reads by itself from the beginning."""
    servers = given["bootstrap"]
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=servers.split(",") if isinstance(servers, str) else servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=given["user"],
        sasl_plain_password=given["password"],
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )


def pointer(record: ConsumerRecord[bytes, bytes]) -> Pointer:
    """A record of the feed."""
    headers = {name: value.decode() for name, value in record.headers}
    data = json.loads(record.value)
    return Pointer(headers["ce_id"], data["handle"], data["what"], record.partition, record.offset)


@asynccontextmanager
async def listening(given: dict[str, Any]) -> AsyncIterator[Feed]:
    """The feed, read in the background from its beginning while the block runs."""
    feed = Feed()
    reader = consumer(given, given["feed"], group=f"{given['user']}.story")
    await reader.start()

    await reader.seek_to_beginning()
    ends = await reader.end_offsets(list(reader.assignment()))

    async def read() -> None:
        while True:
            for records in (await reader.getmany(timeout_ms=200)).values():
                feed.pointers += [pointer(record) for record in records]
            feed.at_end = feed.at_end or all([await reader.position(tp) >= end for tp, end in ends.items()])

    reading = asyncio.create_task(read())
    try:
        yield feed
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await reader.stop()
