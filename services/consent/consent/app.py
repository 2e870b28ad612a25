"""Wiring: consent's parts, built from its settings. Nothing is opened before the app starts."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import housekeeping, logs, tracing
from chassis.clock import Clock, wall_now
from chassis.consuming import PART as CONSUMER
from chassis.consuming import consume
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.http import make_app
from chassis.keys import SubjectKeys
from chassis.lifespan import Tasks
from chassis.outbox import Relay
from chassis.permit import signed_request
from chassis.storage import make_engine, migrate
from consent import api, storage, subscribers
from consent.handlers import directory
from consent.handlers.changes import Confirmations
from consent.handlers.checkpoints import CHECKPOINTS, Checkpoints, newest_published
from consent.handlers.following import Follower
from consent.handlers.leader import Leader
from consent.handlers.people import Registry
from consent.handlers.requests import Office
from consent.handlers.tables import consent_texts, law_table
from consent.handlers.witnessing import Witness
from consent.model.ledger import Pseudonyms
from consent.model.notes import Signer
from consent.settings import Settings

SERVICE = "consent"
MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
_WORKING = 6
"""Connections of what works in the background, and of nobody else: a hundred requests that wait for a confirmation
must not keep the leader from confirming, nor from leading."""
_IDLE_SECONDS = 5
"""One lease: a replica that was stopped in a transaction holds the leader's row, or a subject, no longer than this."""


def create_app(
    settings: Settings, *, clock: Clock | None = None, wall: Callable[[], float] = time.time, bus: bool = True
) -> FastAPI:
    """The service, not started. `wall`: Unix time for signed requests. `bus=False`: without Kafka and leader (tests).

    TextsInvalid, LawInvalid when the data files cannot be used: in production, without an approved text in bokmål, or
    with a row of the law table that nobody has verified or approved.
    """
    business, url = clock or Clock(movable=settings.synthetic), settings.database_url.get_secret_value()
    law = law_table(
        settings.law_table, municipality=settings.municipality, approval=settings.law_approval,
        production=not settings.synthetic,
    )  # fmt: skip
    office_texts = consent_texts(settings.consent_texts, law.day_of(business.now()), drafts=settings.synthetic)
    engine = make_engine(url, pool_size=settings.pool_size, idle_seconds=_IDLE_SECONDS)
    working = make_engine(url, pool_size=_WORKING, idle_seconds=_IDLE_SECONDS)
    keys_engine = make_engine(settings.keys_database_url.get_secret_value(), pool_size=4)
    keys = SubjectKeys(keys_engine, settings.key_encryption_key.get_secret_value())
    secret = settings.hash_key.get_secret_value()
    office = Office(law, office_texts, Registry(keys, secret, settings.series))
    names, signer = Pseudonyms(secret), Signer(settings.ledger_origin, settings.ledger_signing_key.get_secret_value())
    expected = ["outbox", "leader", subscribers.LEDGER, subscribers.DIRECTORY, CONSUMER, CHECKPOINTS] if bus else []
    health = Health(*expected)
    provider = tracing.setup(SERVICE, settings.replica)
    leading = Leader(working, settings, law, business, health)
    confirmations = Confirmations(working, url)
    follower = _follower(settings, engine, office, business)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        tasks = Tasks()
        try:
            await migrate(engine, MIGRATIONS)
            await keys.prepare()
            await _know_the_time(engine, business)
            if follower is not None:
                await follower.check()
                tasks.start("register", follower.run())
            tasks.start("confirmations", confirmations.run())
            tasks.start(
                "housekeeping",
                housekeeping.forget(working, wall_now, keys=storage.idempotency, handled=storage.inbox),
            )
            if bus:
                delivery = Delivery(SERVICE, now=business.now)
                tasks.start("outbox", Relay(settings, health).run())
                tasks.start("state topics", leading.read())
                tasks.start("leader", leading.run())
                signing = Checkpoints(working, signer, business, health, partial(newest_published, settings))
                feed = subscribers.LedgerFeed(settings, working, names, delivery, health, signing.grown)
                tasks.start("ledger", feed.run())
                tasks.start("checkpoints", signing.run())
                _let_witness(tasks, settings, working, business)
                tasks.start("directory", subscribers.DirectoryFeed(settings, working, business, health).run())
                tasks.start("consumer", _follow_logs(settings, provider, working, business, health))
            yield
        finally:
            await tasks.stop()
            await engine.dispose()
            await working.dispose()
            await keys_engine.dispose()

    app = make_app("Samlogg consent", provider, health, lifespan)
    verified = signed_request(settings.inner_key.get_secret_value(), SERVICE, wall)
    parts = api.Parts(
        engine, office, confirmations, verified, business, secret, settings.confirmation_seconds, names, signer
    )
    app.include_router(api.router(parts))
    app.include_router(api.time(parts))
    app.include_router(api.facts(parts))
    app.include_router(api.keepings(parts))
    app.include_router(api.sharing_routes(parts))
    app.include_router(api.otherwise(parts))
    app.include_router(api.looks(parts))
    app.include_router(api.audit(parts))
    app.include_router(api.texts(parts))
    app.include_router(api.ledger(parts))
    app.include_router(api.leases(leading, verified))
    api.install(app)
    app.state.broker = subscribers.consent_broker(settings, provider, Delivery(SERVICE), engine)  # for AsyncAPI
    return app


async def _know_the_time(engine: AsyncEngine, clock: Clock) -> None:
    """Where the business clock was when this last ran: nothing may be planned for a day that is long over."""
    async with engine.connect() as conn:
        clock.move(await directory.ahead(conn))


def _follower(settings: Settings, engine: AsyncEngine, office: Office, clock: Clock) -> Follower | None:
    """Whoever follows the person register, if there is one."""
    if settings.register_url is None:
        return None
    url, token = settings.register_url, settings.register_token
    return Follower(engine, office, clock.now, url, token, synthetic=settings.synthetic)


async def _follow_logs(
    settings: Settings, provider: TracerProvider, engine: AsyncEngine, clock: Clock, health: Health
) -> None:
    """What writes make. With a delivery of its own: the ledger's has the ledger's producer."""
    delivery = Delivery(SERVICE, now=clock.now)
    await consume(settings, delivery, lambda: subscribers.consent_broker(settings, provider, delivery, engine), health)


def _let_witness(tasks: Tasks, settings: Settings, engine: AsyncEngine, clock: Clock) -> None:
    """The witness, if there is one."""
    if settings.witness_url is not None and settings.witness_key is not None:
        tasks.start("witness", Witness(engine, clock, settings.witness_url, settings.witness_key).run())


def set_up_logs(settings: Settings) -> None:
    """One JSON line for each thing that happens."""
    logs.setup(SERVICE, settings.replica)
