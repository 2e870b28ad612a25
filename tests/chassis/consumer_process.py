"""A consumer with an inbox in a process of its own, so that a test can kill it. Arguments: one JSON object.

It prints `handling <id>` when it begins with a message, `done <id>` when its transaction is committed (the offset is
not yet), and then, for the message named `linger`, waits to be killed.
"""

import asyncio
import json
import sys
from typing import Any

from faststream.kafka import KafkaMessage
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from chassis.delivery import Delivery
from chassis.events import text_headers
from chassis.inbox import first_time, inbox_table
from chassis.kafka import make_broker, make_producer, make_router, subscription
from chassis.settings import Settings
from chassis.storage import make_engine

metadata = MetaData()
inbox = inbox_table(metadata)
effect = Table("effect", metadata, Column("n", Integer, primary_key=True), Column("event", String(64), nullable=False))


def say(*words: str) -> None:
    print(*words, flush=True)


async def main(asked: dict[str, Any]) -> None:
    settings = Settings(**asked["settings"])
    engine = make_engine(asked["settings"]["database_url"], pool_size=2)
    delivery = Delivery("probe")
    producer = make_producer(settings)
    await producer.start()
    delivery.attach(producer)
    router = make_router()
    options = subscription(settings, asked["group"]) | {"session_timeout_ms": asked["session_ms"]}

    subscriber: DefaultSubscriber = router.subscriber(asked["topic"], **options)

    @subscriber
    async def take(message: KafkaMessage) -> None:
        event = text_headers(message.headers)["ce_id"]
        say("handling", event)
        async with engine.begin() as conn:
            if await first_time(conn, inbox, event, "probe"):
                await conn.execute(insert(effect).values(event=event))
        say("done", event)
        if event == asked["linger"]:
            await asyncio.sleep(60)

    broker = make_broker(settings, TracerProvider(), [delivery])
    broker.include_router(router)
    await broker.start()
    say("started", "-")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
