"""The logbook on a real PostgreSQL, without a bus; one app and database for the run, one subject for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import SubjectKeys
from chassis.storage import make_engine
from logbook.app import create_app
from logbook.handlers import participation
from logbook.messages import ConsentGranted, ConsentWithdrawn
from logbook.settings import Settings
from tests.logbook.callers import Door, guides, settings_for
from tests.stack import Postgres

TakePart = Callable[..., Awaitable[str]]
Leave = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Databases:
    """Where this run's logbook keeps its content, and where the keys to it."""

    content: str
    keys: str


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    return Databases(postgres.fresh_database("logbook"), postgres.fresh_database("logbook_keys"))


@pytest.fixture(scope="session")
def settings(databases: Databases) -> Settings:
    return settings_for(databases.content, databases.keys)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The whole app behind its real lifespan, without a bus."""
    app = create_app(settings, guides=guides(), bus=False)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://logbook") as found,
    ):
        yield found


@pytest.fixture
def door(client: httpx.AsyncClient) -> Door:
    """The app, asked with signed requests about a subject of this test alone."""
    return Door(client)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(settings: Settings, client: httpx.AsyncClient) -> AsyncIterator[AsyncEngine]:
    """A look at the rows themselves, once the app has made the tables."""
    found = make_engine(settings.database_url.get_secret_value(), pool_size=5)
    yield found
    await found.dispose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keys(settings: Settings, client: httpx.AsyncClient) -> AsyncIterator[SubjectKeys]:
    found = make_engine(settings.keys_database_url.get_secret_value(), pool_size=2)
    yield SubjectKeys(found, settings.key_encryption_key.get_secret_value())
    await found.dispose()


@pytest.fixture
def take_part(door: Door, engine: AsyncEngine) -> TakePart:
    """Let a service take part in the log of this test's subject, as consent.granted.v1 would."""

    async def take(service: str, *categories: str, actions: tuple[str, ...] = ("read", "contribute")) -> str:
        grant = ConsentGranted(
            grant=str(uuid4()), subject=door.subject, recipient=f"service:{service}", categories=list(categories),
            actions=list(actions), since=datetime.now(UTC) - timedelta(days=1), until=None,
        )  # fmt: skip
        async with engine.begin() as conn:
            await participation.take(conn, [participation.Told(str(uuid4()), datetime.now(UTC), grant)])
        return grant.grant

    return take


@pytest.fixture
def leave(door: Door, engine: AsyncEngine) -> Leave:
    """End a grant, as consent.withdrawn.v1 would."""

    async def end(service: str, grant: str) -> None:
        gone = ConsentWithdrawn(grant=grant, subject=door.subject, recipient=f"service:{service}")
        async with engine.begin() as conn:
            await participation.take(conn, [participation.Told(str(uuid4()), datetime.now(UTC), gone)])

    return end
