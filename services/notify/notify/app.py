"""Wiring: what notify is made of, and the order in which it starts and stops."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from faststream.kafka import KafkaBroker

from chassis import tracing
from chassis.clock import Clock
from chassis.consuming import PART as CONSUMER
from chassis.consuming import consume
from chassis.delivery import Delivery
from chassis.following import follow, move_clock
from chassis.health import Health
from chassis.http import make_app
from chassis.kafka import declare, make_broker
from chassis.keys import SubjectKeys
from chassis.lifespan import Tasks
from chassis.outbox import Relay
from chassis.permit import signed_request
from chassis.storage import make_engine, migrate
from notify import handlers
from notify.api import Parts, make_routes
from notify.messages import DIRECTORY, PUBLISHED
from notify.settings import Settings
from notify.subscribers import make_subscribers

SERVICE = "notify"
MIGRATIONS = Path(__file__).parents[1] / "migrations"
_MAILERS = 2
CLOCK = "clock"


def create_app(settings: Settings, *, clock: Clock | None = None, mailer: handlers.Mailer | None = None) -> FastAPI:
    """The service, not started; opens nothing before its lifespan begins."""
    provider = tracing.setup(SERVICE, settings.replica)
    business = clock or Clock(movable=settings.synthetic)
    now = business.now
    health = Health("outbox", CONSUMER, CLOCK)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=settings.pool_size)
    keys_engine = make_engine(settings.keys_database_url.get_secret_value(), pool_size=settings.pool_size)
    keys = SubjectKeys(keys_engine, settings.key_encryption_key.get_secret_value())
    mailing = handlers.Mailing(engine, keys, mailer or handlers.SmtpMailer(settings), settings.smtp_from, health, now)
    delivery = Delivery(SERVICE, now=now)

    def broker() -> KafkaBroker:
        made = make_broker(settings, provider, [delivery])
        made.include_router(make_subscribers(settings, engine, now, mailing.wake))
        return made

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        await migrate(engine, MIGRATIONS)
        await keys.prepare()
        tasks = Tasks()
        tasks.start("clock", follow(settings, DIRECTORY, CLOCK, health, partial(move_clock, business)))
        tasks.start("relay", Relay(settings, health).run())
        tasks.start("consumer", consume(settings, delivery, broker, health))
        for number in range(_MAILERS):
            tasks.start(f"mail-{number}", mailing.run())
        tasks.start("house", mailing.keep_house())
        try:
            yield
        finally:
            await tasks.stop()
            await engine.dispose()
            await keys_engine.dispose()

    made = make_app("Samlogg notify", provider, health, lifespan)
    made.state.broker = _described(broker())
    signed = signed_request(settings.inner_key.get_secret_value(), SERVICE, time.time)
    made.include_router(
        make_routes(Parts(engine, keys, settings.hash_key.get_secret_value(), signed, now, mailing.wake))
    )
    return made


def _described(broker: KafkaBroker) -> KafkaBroker:
    """For AsyncAPI: with what the relay publishes for us. The working broker is made by `consume`."""
    return declare(broker, PUBLISHED)
