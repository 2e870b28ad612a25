"""Wiring: what the gateway is made of, and the order in which it starts and stops."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
from fastapi import FastAPI
from faststream.kafka import KafkaBroker
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import Receive, Scope, Send

from chassis import problems, tracing
from chassis.clock import Clock, lease_now
from chassis.consuming import PART as CONSUMER
from chassis.health import Health
from chassis.http import Lifespan
from chassis.kafka import declare, make_broker, make_producer
from chassis.lifespan import Tasks
from chassis.storage import make_engine, migrate
from gateway.api import identity as identity_api
from gateway.api import streams as streams_api
from gateway.api.door import HttpDoor
from gateway.api.operations import make_operations, serve_operations
from gateway.api.wire import emptied
from gateway.handlers.changes import Changes
from gateway.handlers.door import Decide, Door
from gateway.handlers.feeds import Feeds
from gateway.handlers.forward import Services, destination
from gateway.handlers.identity import Identity, people, refuse_unsafe, rules
from gateway.handlers.projection import Projection
from gateway.handlers.records import BATCH_BYTES, KafkaRecords, Records
from gateway.handlers.refusals import Refusals, fold_regularly
from gateway.handlers.streams import Streams
from gateway.messages import PUBLISHED
from gateway.model.decide import decide as decide_by_the_rules
from gateway.model.handles import Handles
from gateway.model.routing import Table, routes_of
from gateway.settings import Settings
from gateway.subscribers import feed_work

SERVICE = "gateway"
OWNERS = ("consent", "directory", "logbook", "notify")
OWN_PATHS = frozenset({"/login", "/callback", "/logout", "/session", "/me"})
MIGRATIONS = Path(__file__).parents[1] / "migrations"

Record = Callable[[Settings, Callable[[], datetime]], Records]
"""Makes the place where looks are recorded."""


class Gateway(FastAPI):
    """FastAPI for the doors of identity; every other path goes straight to the HTTP door."""

    door: HttpDoor
    own_paths: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A lifespan, a path of identity, or a route of a service."""
        if scope["type"] == "http" and scope["path"] not in self.own_paths:
            await self.door(scope, receive, send)
        else:
            # What /me decides leaves in the step that decided it: `send` would otherwise wait for a slow client after.
            await emptied(scope)
            await super().__call__(scope, receive, send)


def kafka_records(settings: Settings, now: Callable[[], datetime]) -> Records:
    """Looks go to `gateway.access.v1`, acknowledged by every in-sync replica."""
    return KafkaRecords(lambda: make_producer(settings, batch_bytes=BATCH_BYTES), now)


def read_table(contracts: Path) -> Table:
    """The routes of the four services, from `<service>/contract/routes.json`. ValueError when one cannot be served."""
    found = routes_of(SERVICE, [streams_api.ROUTE])
    for service in OWNERS:
        entries = json.loads((contracts / service / "contract" / "routes.json").read_text("utf-8"))
        found += routes_of(service, entries)
    return Table(found)


def create_app(
    settings: Settings, *, decide: Decide = decide_by_the_rules, record: Record = kafka_records,
    clock: Clock | None = None, wall: Callable[[], float] = time.time,
) -> Gateway:  # fmt: skip
    """The gateway, not started; opens nothing before its lifespan begins.

    decide, record: functions and not settings, so that nothing outside the code can turn either of them off. ValueError
    when a route table must not be served; unsafe settings do not start.
    """
    table = read_table(settings.contracts)
    business = clock or Clock(movable=settings.synthetic)
    provider, now = tracing.setup(SERVICE, settings.replica), business.now
    health = Health("outbox", CONSUMER)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=settings.pool_size)
    inner_key = settings.inner_key_consent.get_secret_value()
    projection = Projection(settings, settings.consent, inner_key, health, business, wall)
    handles = Handles(settings.handle_key.get_secret_value())
    services = _services(settings, wall)
    identity = Identity(rules(settings), engine, projection.facts, people(lambda: services), now=wall)
    records, refusals = record(settings, now), Refusals()
    health.watch("records", records.trouble)
    door = Door(
        facts=projection.facts, lease=projection.lease, handles=handles, services=services, records=records,
        refusals=refusals, decide=decide, now=now, lease_now=lease_now,
    )  # fmt: skip
    streams = Streams(door=door, handles=handles, lease=projection.lease, lease_now=lease_now)
    projection.on_change = streams.changed
    feeds = Feeds(
        engine=engine, facts=projection.facts, holds_lease=projection.holds_lease, handles=handles, decide=decide,
        now=now, provider=provider,
    )  # fmt: skip
    operations = make_operations(health)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        refuse_unsafe(settings)
        tasks = Tasks()
        async with AsyncExitStack() as opened:
            opened.push_async_callback(engine.dispose)
            tasks.start("operations", serve_operations(operations, settings.host, settings.operations_port))
            opened.push_async_callback(tasks.stop)
            await migrate(engine, MIGRATIONS)
            for part in (services, identity, records):
                opened.push_async_callback(part.close)
                await part.open()
            heartbeats = await opened.enter_async_context(aiohttp.ClientSession())
            working = Tasks()
            opened.push_async_callback(working.stop)
            working.start("projection", projection.read())
            working.start("lease", projection.keep_lease(heartbeats))
            working.start("streams", streams.watch_lease())
            working.start("changes", Changes(settings, streams).read())
            working.start("folded refusals", fold_regularly(refusals, records, lease_now))
            for name, work in feed_work(settings, health, feeds, now):
                working.start(name, work)
            yield

    app = _app(provider, lifespan)
    app.state.broker = _described(settings, provider)
    app.include_router(identity_api.routes(identity, handles, lambda caller: door.relations(caller.actor)))
    app.include_router(streams_api.described())
    app.state.in_front_of = OWNERS  # whose public routes are in the contract of this door too
    app.own_paths = OWN_PATHS
    streaming = streams_api.Streaming(streams=streams, door=door, lease=projection.lease, still=identity.still)
    app.door = HttpDoor(
        table=table, identify=identity.identify, door=door, handles=handles, lease=projection.lease,
        lease_now=lease_now, streaming=streaming, secure=settings.public_url.startswith("https://"),
    )  # fmt: skip
    return app


def _untraced(scope: Scope) -> bool:
    """A login's code and state are in its query, and the query is an attribute of the span."""
    return scope["path"] in ("/login", "/callback")


def _app(provider: TracerProvider, lifespan: Lifespan) -> Gateway:
    app = Gateway(
        title="Samlogg gateway", version="0.1.0", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan,
        generate_unique_id_function=lambda found: found.name, responses=problems.DOCUMENTED,
        telemetry={"logs": False, "operation_spans": False, "tracer_provider": provider, "exclude": _untraced},
    )  # fmt: skip
    problems.install(app)
    return app


def _described(settings: Settings, provider: TracerProvider) -> KafkaBroker:
    """What the gateway publishes, for its AsyncAPI; what it reads says messages.CONSUMED."""
    return declare(make_broker(settings, provider), PUBLISHED)


def _services(settings: Settings, wall: Callable[[], float]) -> Services:
    return Services(
        {
            "consent": destination(settings.consent_urls, settings.inner_key_consent.get_secret_value()),
            "directory": destination(settings.directory_url, settings.inner_key_directory.get_secret_value()),
            "logbook": destination(settings.logbook_url, settings.inner_key_logbook.get_secret_value()),
            "notify": destination(settings.notify_url, settings.inner_key_notify.get_secret_value()),
        },
        wall,
    )
