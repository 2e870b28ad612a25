"""The parts that tests run on are the real ones, and closed by default."""

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from tests.stack import Kafka, Postgres


async def test_a_database_asked_for_is_empty_and_its_own(postgres: Postgres) -> None:
    first, second = postgres.fresh_database("one"), postgres.fresh_database("one")
    assert first != second
    connection = await asyncpg.connect(first.replace("+asyncpg", ""))
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
    finally:
        await connection.close()


async def test_a_topic_has_the_partitions_that_were_asked_for(kafka: Kafka) -> None:
    topic = kafka.fresh_topic(3, {"cleanup.policy": "compact"})
    assert len(kafka.admin.list_topics(topic, timeout=5).topics[topic].partitions) == 3


async def test_no_topic_is_made_by_using_it(kafka: Kafka) -> None:
    producer = AIOKafkaProducer(**kafka.options, request_timeout_ms=1000)
    await producer.start()
    try:
        with pytest.raises((UnknownTopicOrPartitionError, KafkaError)):
            await producer.send_and_wait("never.made", b"x")
    finally:
        await producer.stop()
