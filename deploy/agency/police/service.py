"""Puts the service together: waits to be attached, fetches its credential, then listens and fetches."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
from aiokafka.errors import KafkaError
from joserfc.jwk import RSAKey

from police import feed, keys, status
from police.fetching import fetch_all
from police.gateway import Answer, Gateway, MachineToken, UnavailableError, pause
from police.settings import Settings
from police.store import Store

ATTACHMENT = "attachment"
log = logging.getLogger("police")


class Progress:
    """How far the service has come; shown at the door on loopback."""

    def __init__(self) -> None:
        self.attachment: str | None = None
        self.listening = False


async def attachment_id(settings: Settings, progress: Progress) -> str:
    """The id that somebody noted with `police attached`; waits until it is there."""
    path = settings.folder / ATTACHMENT
    while not path.exists():  # noqa: ASYNC110 (another process writes the file)
        await asyncio.sleep(0.2)
    progress.attachment = path.read_text().strip()
    return progress.attachment


async def credential(settings: Settings, gateway: Gateway, attachment: str) -> feed.Credential:
    """Our Kafka user, unsealed; waits until it has been made and the gateway knows us."""
    pair = keys.key(settings.folder, keys.SEALING)
    tries = 0
    while True:
        try:
            answer = await gateway.credential(attachment)
            if isinstance(answer, Answer) and answer.body.get("sealed"):
                return _unsealed(answer.body, pair, tls=settings.kafka_tls)
        except UnavailableError as error:
            await pause(tries, error.wait)
        await pause(min(tries, 3), None)
        tries += 1


def _unsealed(body: dict[str, Any], pair: RSAKey, *, tls: bool) -> feed.Credential:
    servers = body["bootstrap"]
    return feed.Credential(
        user=body["user"],
        password=keys.unseal(body["sealed"], pair),
        bootstrap=tuple(servers.split(",") if isinstance(servers, str) else servers),
        feed=body["feed"],
        tls=tls,
    )


async def listen(
    settings: Settings, gateway: Gateway, store: Store, arrived: asyncio.Event, progress: Progress
) -> None:
    """Listen for ever; a Kafka that is away is waited for, with a credential fetched anew."""
    attachment = await attachment_id(settings, progress)
    tries = 0
    while True:
        reader = feed.consumer(await credential(settings, gateway, attachment))
        try:
            await reader.start()
            log.info("listening")
            progress.listening, tries = True, 0
            await feed.listen(reader, store, arrived)
        except KafkaError as error:
            log.warning("Kafka: %s", type(error).__name__)
            await pause(tries, None)
            tries += 1
        finally:
            progress.listening = False
            await reader.stop()


async def run(settings: Settings) -> None:
    """Run until cancelled."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store, progress, arrived = Store(settings.database), Progress(), asyncio.Event()

    def state() -> dict[str, Any]:
        return {"attachment": progress.attachment, "listening": progress.listening, **store.held()}

    door = await status.serve(settings.status_port, status.status_token(settings.folder), state)
    try:
        async with httpx.AsyncClient(timeout=10, follow_redirects=False) as http, asyncio.TaskGroup() as tasks:
            gateway = Gateway(settings, MachineToken(settings, keys.key(settings.folder, keys.CLIENT), http), http)
            tasks.create_task(listen(settings, gateway, store, arrived, progress))
            tasks.create_task(fetch_all(gateway, store, arrived))
    finally:
        door.close()
        store.close()
