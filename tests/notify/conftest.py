"""notify, whole and running: real PostgreSQL, real Kafka, a real SMTP server, and doors that only the gateway opens."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import notify.app
from chassis import permit
from chassis.events import headers, new_event, value
from chassis.health import Health
from chassis.keys import SubjectKeys
from chassis.storage import make_engine, migrate
from notify.app import create_app
from notify.handlers import Mailing, SmtpMailer
from notify.messages import DIRECTORY, NOTICE_DUE, NOTICE_REVOKED, NOTICES, TOPIC
from notify.settings import Settings
from notify.subscribers import GROUP
from tests.bus import Bus, open_bus, until
from tests.notify.mailbox import Mailbox, open_mailbox
from tests.stack import Kafka, Postgres

INNER_KEY = b"i" * 32
MIGRATIONS = Path(notify.app.__file__).parents[1] / "migrations"


def person() -> str:
    return f"person:{uuid4()}"


@dataclass
class Time:
    """A business clock that a test can move."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Doors:
    """The HTTP doors of notify as the gateway opens them."""

    client: httpx.AsyncClient

    async def ask(
        self, method: str, path: str, who: str | None, body: object = None, *, kind: str = "", **more: str
    ) -> httpx.Response:
        """One signed request as `person:<id>` or `staff:<id>`."""
        sort, _, known = (who or f"{kind}:").partition(":")
        content = b"" if body is None else json.dumps(body).encode()
        actor = permit.Actor(sort, known or None, assurance="high")  # type: ignore[arg-type]
        signature = permit.sign(
            OctKey.import_key(INNER_KEY), audience="notify", method=method, path=path, body=content, actor=actor,
            subject=None, route="notify.test", permit=None, record=None, now=time.time(),
        )  # fmt: skip
        sent = {permit.HEADER: signature, "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in more.items()}
        return await self.client.request(method, path, content=content, headers=sent)

    async def contact(self, who: str, email: str | None, language: str = "nb", notices: str = "each") -> None:
        """Give the first contact point."""
        answer = await self.ask("PUT", "/me/contact", who, {"email": email, "language": language, "notices": notices})
        assert answer.status_code == 200, answer.text

    async def notices(self, who: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", "/me/notices", who)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def states(self, who: str) -> list[str]:
        return [item["state"] for item in await self.notices(who)]


@dataclass
class Running:
    """The whole service on the bus."""

    app: FastAPI
    bus: Bus
    doors: Doors
    box: Mailbox
    since: dict[Any, int] = field(default_factory=dict)

    async def due(self, who: str, *, notice: str | None = None, event: str | None = None, **more: Any) -> str:
        """Put notice.due.v1 on the bus; returns the notice's id."""
        known = notice or str(uuid4())
        await self.put(NOTICE_DUE, who, {"notice": known, "recipient": who, "cause": str(uuid4())} | more, event)
        return known

    async def revoked(self, who: str, notice: str) -> None:
        await self.put(NOTICE_REVOKED, who, {"notice": notice, "recipient": who}, None)

    async def put(self, kind: str, who: str, data: dict[str, Any], event: str | None) -> None:
        made = new_event("gateway", kind, who.partition(":")[2], data, datetime.now(UTC))
        named = dict(headers(made)) | ({"ce_id": event.encode()} if event else {})
        await self.bus.producer.send_and_wait(NOTICES, value(made), key=made.key.encode(), headers=list(named.items()))

    async def until_states(self, who: str, states: list[str], within: float = 20.0) -> None:
        end = time.monotonic() + within
        while (found := await self.doors.states(who)) != states:
            assert time.monotonic() < end, f"{found} instead of {states}"
            await asyncio.sleep(0.05)

    async def told(self, who: str, count: int, within: float = 10.0) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of what notify published about this recipient."""
        key = who.partition(":")[2].encode()
        found = await self.bus.records(TOPIC, count, within, since=self.since, wanted=lambda one: one.key == key)
        return [(dict(one.headers)["ce_type"].decode(), json.loads(one.value or b"")) for one in found]


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with open_mailbox() as opened:
        yield opened


@pytest.fixture
def make_settings(postgres: Postgres) -> Callable[..., Settings]:
    def make(**more: Any) -> Settings:
        given: dict[str, Any] = {
            "mode": "synthetic", "database_url": postgres.fresh_database("notify"),
            "keys_database_url": postgres.fresh_database("notify_keys"),
            "kafka_bootstrap": "127.0.0.1:9", "kafka_user": "nobody", "kafka_password": "none",
            "inner_key": base64.b64encode(INNER_KEY).decode(), "hash_key": base64.b64encode(b"h" * 32).decode(),
            "key_encryption_key": base64.b64encode(b"w" * 32).decode(),
            "smtp_host": "127.0.0.1", "smtp_from": "loggen@samlogg.test", "pool_size": 4,
        }  # fmt: skip
        return Settings(**(given | more))

    return make


@pytest.fixture
async def running(kafka: Kafka, box: Mailbox, make_settings: Callable[..., Settings]) -> AsyncIterator[Running]:
    settings = make_settings(smtp_port=box.port, **kafka.settings)
    async with open_bus(kafka, settings.database_url.get_secret_value()) as bus:
        for topic in (NOTICES, TOPIC):
            await bus.real_topic(topic)
        await bus.real_topic(DIRECTORY, 1)
        since = await bus.ends(TOPIC)
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://notify") as client,
        ):
            end = time.monotonic() + 40
            while (ready := await client.get("/ready")).status_code != 200:
                assert time.monotonic() < end, ready.text
                await asyncio.sleep(0.1)
            await bus.alone(GROUP)
            yield Running(app, bus, Doors(client), box, since)


@dataclass
class Desk:
    """The mail worker by itself: a database, keys, a mail server and a clock, without Kafka."""

    engine: AsyncEngine
    keys: SubjectKeys
    settings: Settings
    health: Health
    clock: Time

    def mailing(self, mailer: Any = None) -> Mailing:
        sender = self.settings.smtp_from
        return Mailing(self.engine, self.keys, mailer or SmtpMailer(self.settings), sender, self.health, self.clock.now)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.engine.connect() as conn:
            return list(await conn.execute(text(statement), values))

    async def states(self) -> list[str]:
        return [row[0] for row in await self.rows("SELECT state FROM delivery ORDER BY next_at, notice")]


@pytest.fixture
async def desk(box: Mailbox, make_settings: Callable[..., Settings]) -> AsyncIterator[Desk]:
    settings = make_settings(smtp_port=box.port)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=6)
    keys_engine = make_engine(settings.keys_database_url.get_secret_value(), pool_size=2)
    await migrate(engine, MIGRATIONS)
    keys = SubjectKeys(keys_engine, settings.key_encryption_key.get_secret_value())
    await keys.prepare()
    yield Desk(engine, keys, settings, Health(), Time())
    await engine.dispose()
    await keys_engine.dispose()


__all__ = ["until"]
