"""Wiring: the logbook's parts, built from its settings. Nothing is opened before the app starts."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import housekeeping, logs, tracing
from chassis.clock import Clock, wall_now
from chassis.consuming import PART, consume
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.http import make_app
from chassis.keys import SubjectKeys
from chassis.lifespan import Tasks
from chassis.outbox import Relay
from chassis.permit import signed_request
from chassis.storage import make_engine, migrate
from logbook import api, storage, subscribers
from logbook.handlers import SERVICE
from logbook.model import Guides
from logbook.settings import Settings

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    wall: Callable[[], float] = time.time,
    guides: Guides | None = None,
    bus: bool = True,
) -> FastAPI:
    """The logbook. `wall`: Unix time for signed requests. `bus=False`: without relay and consumers (tests)."""
    business, known = clock or Clock(movable=settings.synthetic), guides or Guides()
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=settings.pool_size)
    keys_engine = make_engine(settings.keys_database_url.get_secret_value(), pool_size=2)
    keys = SubjectKeys(keys_engine, settings.key_encryption_key.get_secret_value())
    health = Health(*(["outbox", PART, subscribers.GUIDES] if bus else []))
    provider = tracing.setup(SERVICE, settings.replica)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        tasks = Tasks()
        try:
            await migrate(engine, MIGRATIONS)
            await keys.prepare()
            if bus:
                _start(tasks, settings, engine, business, health, known)
            tasks.start(
                "housekeeping",
                housekeeping.forget(engine, wall_now, keys=storage.idempotency, handled=storage.inbox),
            )
            yield
        finally:
            await tasks.stop()
            await engine.dispose()
            await keys_engine.dispose()

    app = make_app(SERVICE, provider, health, lifespan)
    verified = signed_request(settings.inner_key.get_secret_value(), SERVICE, wall)
    secret = settings.hash_key.get_secret_value()
    app.include_router(api.router(api.Parts(engine, keys, verified, known.of, secret, business)))
    api.install(app)
    app.state.broker = subscribers.describe(settings, provider)
    return app


def _start(
    tasks: Tasks,
    settings: Settings,
    engine: AsyncEngine,
    clock: Clock,
    health: Health,
    known: Guides,
) -> None:
    delivery = Delivery(SERVICE)
    tasks.start("outbox", Relay(settings, health).run())
    tasks.start("guides", subscribers.follow_directory(settings, known, clock, health))
    tasks.start(
        "consumer",
        consume(settings, delivery, lambda: subscribers.make_consent_reader(settings, delivery, engine), health),
    )


def set_up_logs(settings: Settings) -> None:
    """One JSON line for each thing that happens."""
    logs.setup(SERVICE, settings.replica)
