"""Wiring: what the directory is made of, and the order in which it starts and stops."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI
from faststream.kafka import KafkaBroker
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import housekeeping, tracing
from chassis.clock import Clock, wall_now
from chassis.consuming import PART as CONSUMER
from chassis.consuming import consume
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.http import make_app
from chassis.kafka import declare, make_broker
from chassis.lifespan import Tasks
from chassis.permit import signed_request
from chassis.storage import make_engine, migrate
from directory import api, storage
from directory.handlers import moving, staff
from directory.handlers.publishing import PART as PUBLISHER
from directory.handlers.publishing import Publisher
from directory.messages import PUBLISHED
from directory.settings import Settings
from directory.subscribers import make_subscribers

SERVICE = "directory"


def create_app(
    settings: Settings, *, clock: Clock | None = None, wall: Callable[[], float] = time.time, bus: bool = True
) -> FastAPI:
    """The directory, not started. wall: Unix time for signed requests. bus=False: without Kafka, to try the door."""
    business = clock or Clock(movable=settings.synthetic)
    provider = tracing.setup(SERVICE, settings.replica)
    health = Health(*([PUBLISHER, CONSUMER] if bus else []))
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=settings.pool_size)
    delivery = Delivery(SERVICE)

    def broker() -> KafkaBroker:
        made = make_broker(settings, provider, [delivery])
        made.include_router(make_subscribers(settings, engine, business.now))
        return declare(made, PUBLISHED)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        tasks = Tasks()
        try:
            await migrate(engine, storage.MIGRATIONS)
            await moving.catch_up(engine, business)
            await _first_admin(engine, settings, business)
            if business.movable:
                tasks.start("clock", moving.follow(engine, business))
            if bus:
                tasks.start("publisher", Publisher(settings, engine, health).run())
                tasks.start("consumer", consume(settings, delivery, broker, health))
            tasks.start(
                "housekeeping",
                housekeeping.forget(engine, wall_now, keys=storage.idempotency, handled=storage.inbox),
            )
            yield
        finally:
            await tasks.stop()
            await engine.dispose()

    app = make_app("Samlogg directory", provider, health, lifespan)
    app.include_router(api.make_routes(_parts(settings, engine, business, wall)))
    api.install(app)
    app.state.broker = broker()
    return app


def _parts(settings: Settings, engine: AsyncEngine, clock: Clock, wall: Callable[[], float]) -> api.Parts:
    return api.Parts(
        engine=engine,
        signed=signed_request(settings.inner_key.get_secret_value(), SERVICE, wall),
        now=clock.now,
        clock=clock,
        secret=settings.hash_key.get_secret_value(),
        synthetic=settings.synthetic,
        wait=settings.confirmation_seconds,
        invitation_valid=timedelta(days=settings.invitation_days),
        bootstrap=settings.agency_bootstrap or settings.kafka_bootstrap,
    )


async def _first_admin(engine: AsyncEngine, settings: Settings, clock: Clock) -> None:
    """With a FIRST_ADMIN_CODE, and while nobody administers, one admin record stands open for it."""
    if settings.first_admin_code is None:
        return
    now = clock.now()
    async with engine.begin() as conn:
        await staff.ensure_first_admin(
            conn, settings.first_admin_code.get_secret_value(), settings.hash_key.get_secret_value(),
            now + timedelta(days=settings.invitation_days), now,
        )  # fmt: skip
