"""Fixtures of the directory's tests: a migrated database of its own, the demo district, and the signed door."""

import base64
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.permit import HEADER, Actor, sign
from chassis.storage import make_engine, migrate
from directory import storage
from directory.app import create_app
from directory.settings import Settings
from tests import stack

DISTRICT = Path(__file__).parents[2] / "deploy" / "district" / "gamlebyen.toml"
FIRST_CODE = "the-first-administrator-of-solvik"
INNER_KEY = base64.b64encode(b"i" * 32).decode()
HASH_KEY = base64.b64encode(b"h" * 32).decode()
NURSE = "46951c97-c75a-467e-9a95-9b2993ff9ce3"
TEACHER = "231b6df1-fae4-4dad-8009-e3c073086a97"

Make = Callable[..., Settings]


@pytest.fixture
def document() -> dict[str, Any]:
    """The demo district as a request body; each test may change its own."""
    return read_document()


def read_document() -> dict[str, Any]:
    """The demo district as it is in its file."""
    return tomllib.loads(DISTRICT.read_text(encoding="utf-8"))


@pytest.fixture
def make_settings(postgres: stack.Postgres) -> Make:
    """Settings on a database of their own; Kafka is nowhere unless the test says where."""
    return partial(settings_on, postgres.fresh_database("directory"))


def settings_on(url: str, **more: Any) -> Settings:
    """Settings on this database."""
    given = {
        "mode": "synthetic", "database_url": url, "inner_key": INNER_KEY, "hash_key": HASH_KEY,
        "kafka_bootstrap": "127.0.0.1:1", "kafka_user": "directory", "kafka_password": "none",
        "first_admin_code": FIRST_CODE, "confirmation_seconds": 0.0, "agency_bootstrap": "kafka.example:9094",
    }  # fmt: skip
    return Settings(**{**given, **more})


@pytest.fixture
async def engine(make_settings: Make) -> AsyncIterator[AsyncEngine]:
    """An engine on the migrated database."""
    made = make_engine(make_settings().database_url.get_secret_value())
    await migrate(made, storage.MIGRATIONS)
    yield made
    await made.dispose()


class Gateway(httpx.Auth):
    """Signs each request as the gateway does, for the actor it holds."""

    requires_request_body = True

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[HEADER] = sign(
            OctKey.import_key(base64.b64decode(INNER_KEY)), audience="directory", method=request.method,
            path=request.url.raw_path.decode(), body=request.content, actor=self.actor, subject=None,
            route=f"directory.{request.url.path}", permit=None, record=None, now=time.time(),
        )  # fmt: skip
        yield request


NOBODY = Actor("staff", None, assurance="high")


class Door:
    """The directory's door, asked by the gateway for one actor after another."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def as_(self, actor: Actor | None) -> httpx.AsyncClient:
        """A client that speaks for this actor; None: for somebody who is not the gateway."""
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        auth = None if actor is None else Gateway(actor)
        return httpx.AsyncClient(transport=transport, base_url="http://directory", auth=auth)

    async def admin(self) -> httpx.AsyncClient:
        """The first administrator, joined with the code of the settings."""
        login = f"{uuid4().hex}{uuid4().hex}"
        newcomer = replace(NOBODY, login=login)
        async with self.as_(newcomer) as client:
            answer = await client.post("/invitations/redeem", json={"code": FIRST_CODE})
        assert answer.status_code in (200, 202), answer.text
        return self.as_(Actor("staff", answer.json()["staff"], (), "admin", None, "high", login))


@pytest.fixture
async def door(make_settings: Make) -> AsyncIterator[Door]:
    """The service without Kafka, started."""
    app = create_app(make_settings(), bus=False)
    async with app.router.lifespan_context(app):
        yield Door(app)


@pytest.fixture
def newcomer() -> Actor:
    """Somebody logged in at the high level whom no staff record matches."""
    return replace(NOBODY, login=f"{uuid4().hex}{uuid4().hex}")


@pytest.fixture(scope="session")
def public_key() -> dict[str, Any]:
    """An agency's public key to seal to."""
    return dict(RSAKey.generate_key(2048, private=True).as_dict(private=False))
