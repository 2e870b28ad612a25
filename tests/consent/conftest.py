"""Consent on a real PostgreSQL, without a bus; one app and database for the run, one family for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import SubjectKeys
from chassis.storage import make_engine
from consent.app import create_app
from consent.handlers import directory
from consent.settings import Settings
from tests.consent.callers import Case, Desk, a_request, entries, settings_for
from tests.stack import Postgres

MakeCase = Callable[..., Awaitable[Case]]


@dataclass(frozen=True, slots=True)
class Databases:
    """Where this run's consent keeps its facts, and where the keys to them."""

    content: str
    keys: str


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    return Databases(postgres.fresh_database("consent"), postgres.fresh_database("consent_keys"))


@pytest.fixture(scope="session")
def settings(databases: Databases) -> Settings:
    return settings_for(databases.content, databases.keys)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The whole app behind its real lifespan, without a bus."""
    app = create_app(settings, bus=False)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://consent") as found,
    ):
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(settings: Settings, client: httpx.AsyncClient) -> AsyncIterator[AsyncEngine]:
    """A look at the rows themselves, once the app has made the tables and knows the directory."""
    del client
    found = make_engine(settings.database_url.get_secret_value(), pool_size=12)
    async with found.begin() as conn:
        await directory.keep(conn, entries())
    yield found
    await found.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def keys(settings: Settings, engine: AsyncEngine) -> AsyncIterator[SubjectKeys]:
    """Another replica's keys: what it destroys, the app forgets when its cache ends."""
    del engine
    found = make_engine(settings.keys_database_url.get_secret_value(), pool_size=1)
    yield SubjectKeys(found, settings.key_encryption_key.get_secret_value())
    await found.dispose()


@pytest.fixture
def desk(client: httpx.AsyncClient, engine: AsyncEngine) -> Desk:
    return Desk(client, engine)


@pytest.fixture
def make_case(desk: Desk) -> MakeCase:
    """A new family with a request about its child: `await make_case(age=15, cells=[...])`."""

    async def make(age: int = 15, **more: object) -> Case:
        return await Case(desk, a_request(age, **more)).made()

    return make
