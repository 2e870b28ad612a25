"""A connection to Kafka that is gone, on the loop of our processes: an error that the client mends by itself."""

import asyncio
import socket
import struct
from uuid import uuid4

import pytest
import uvloop
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.admin import ApiVersionRequest

from chassis.kafka import from_beginning, make_consumer, take_many
from tests.bus import settings_for
from tests.stack import Kafka


async def broken() -> AIOKafkaConnection:
    """A connection that the other side has reset and that nobody has noticed yet."""
    taken: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _, writer: taken.set_result(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = AIOKafkaConnection("127.0.0.1", port)
    made._reader, made._writer = await asyncio.open_connection("127.0.0.1", port)
    made._read_task = asyncio.create_task(asyncio.sleep(60))
    other = (await taken).transport
    other.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.abort()
    while not made._writer.is_closing():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    server.close()
    return made


@pytest.mark.parametrize("way", ["send", "_send_sasl_token"])
def test_writing_to_a_connection_that_is_gone_is_an_error_of_kafkas(way: str) -> None:
    async def write() -> None:
        made = await broken()
        with pytest.raises(KafkaConnectionError):
            getattr(made, way)(ApiVersionRequest() if way == "send" else b"token")
        assert not made.connected(), "the client would go on with it"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write())


async def test_a_consumer_whose_fetching_has_ended_says_so_instead_of_looking_idle(kafka: Kafka) -> None:
    """Each loop of ours that reads asks for its records here; `watch_progress` asks for the frameworks' consumers."""
    topic = f"ended.{uuid4().hex[:10]}"
    kafka.make_topic(topic, 1)
    consumer = make_consumer(settings_for(kafka, "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"), group=None)
    await consumer.start()
    try:
        await from_beginning(consumer, [TopicPartition(topic, 0)])
        assert await take_many(consumer, timeout_ms=50) == {}
        fetching = consumer._fetcher.error_future
        fetching.cancel()
        await asyncio.wait({fetching})
        with pytest.raises(KafkaError, match="stopped fetching"):
            await take_many(consumer, timeout_ms=50)
    finally:
        await consumer.stop()
