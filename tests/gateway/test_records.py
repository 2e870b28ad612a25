"""Access records: durable or not answered, each send with its own deadline; refusals limited per caller."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.permit import Actor
from gateway.handlers.gathering import Batch, NotRecorded
from gateway.handlers.records import KafkaRecords, Look
from gateway.handlers.refusals import Refusals, fold_regularly
from gateway.messages import AccessHeldBack, AccessRecorded
from tests.gateway.door_parts import CHILD, OTHER, POLICE, ScriptedRecords, never_durable
from tests.gateway.test_gathering import ScriptedBatch, ScriptedBatches

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def look(subject: str | None = CHILD, actor: Actor = POLICE, name: str = "look-1") -> Look:
    return Look(name, NOW, subject, actor, "logbook.items", "read", (), (), "grant", None, "refused", "no-grant")


class ScriptedProducer(ScriptedBatches):
    """A producer whose acknowledgements come when the test says so."""

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__()
        self.sent: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []
        self.stuck = stuck
        self.stopped = False

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    async def send(
        self, topic: str, value: bytes, key: bytes, *, headers: Sequence[tuple[str, bytes]]
    ) -> Awaitable[Any]:
        self.sent.append((topic, value, key, dict(headers)))
        return self.acknowledged.wait()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Any]:
        assert isinstance(batch, ScriptedBatch)
        if self.stuck:
            await asyncio.Event().wait()
        self.sent += [(topic, value, key, dict(headers)) for key, value, headers in batch.records]
        return await super().send_batch(batch, topic, partition=partition)


async def records_with(producer: ScriptedProducer, seconds: float = 0.05) -> KafkaRecords:
    records = KafkaRecords(lambda: producer, lambda: NOW, seconds=seconds)
    await records.open()
    return records


async def test_a_look_is_durable_only_when_the_bus_says_so() -> None:
    producer = ScriptedProducer()
    records = await records_with(producer, seconds=5)
    waiting = asyncio.ensure_future(await records.send(look()))
    await asyncio.sleep(0.01)
    assert len(producer.sent) == 1
    assert not waiting.done()
    producer.acknowledged.set()
    await waiting


@pytest.mark.parametrize("stuck", [True, False])
async def test_every_send_has_a_deadline_of_its_own(stuck: bool) -> None:
    records = await records_with(ScriptedProducer(stuck=stuck))
    began = time.monotonic()
    with pytest.raises(NotRecorded):
        await (await records.send(look()))
    assert 0.04 < time.monotonic() - began < 2.0
    assert records.trouble() is not None


async def test_trouble_ends_with_the_next_durable_look() -> None:
    producer = ScriptedProducer()
    records = await records_with(producer)
    with pytest.raises(NotRecorded):
        await (await records.send(look()))
    producer.acknowledged.set()
    await (await records.send(look()))
    assert records.trouble() is None


async def test_what_is_on_its_way_at_the_end_still_leaves() -> None:
    producer = ScriptedProducer()
    records = await records_with(producer, seconds=1)
    durable = asyncio.ensure_future(await records.send(look()))
    producer.acknowledged.set()
    await records.close()
    assert durable.done()
    assert len(producer.sent) == 1
    assert producer.stopped


async def test_a_start_that_is_cancelled_leaves_no_connection_open() -> None:
    class Slow(ScriptedProducer):
        async def start(self) -> None:
            await asyncio.Event().wait()

    producer = Slow()
    starting = asyncio.create_task(KafkaRecords(lambda: producer, lambda: NOW).open())
    await asyncio.sleep(0.01)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert producer.stopped


async def test_a_look_before_the_start_is_not_recorded() -> None:
    records = KafkaRecords(ScriptedProducer, lambda: NOW)
    with pytest.raises(NotRecorded):
        await records.send(look())


async def test_a_held_back_answer_is_told_without_waiting_and_before_the_end() -> None:
    producer = ScriptedProducer()
    records = await records_with(producer, seconds=1)
    records.held_back(look(), "decided-anew")
    records.held_back(look(), "cut-off", (16_000, 50_000))
    assert producer.sent == []
    producer.acknowledged.set()
    await records.close()
    (topic, value, key, headers), (_, cut, _, _) = producer.sent
    told = AccessHeldBack.model_validate_json(cut)
    assert (told.record, told.reason, told.sent, told.of) == ("look-1", "cut-off", 16_000, 50_000)
    assert (topic, key, headers["ce_type"]) == ("gateway.access.v1", CHILD.encode(), b"access.held-back.v1")
    assert AccessHeldBack.model_validate_json(value) == AccessHeldBack(record="look-1", reason="decided-anew")
    assert producer.stopped


async def test_a_record_holds_what_the_contract_says_and_its_key_is_the_subject_or_else_the_caller() -> None:
    producer = ScriptedProducer()
    producer.acknowledged.set()
    records = await records_with(producer)
    await (await records.send(look()))
    await (await records.send(look(subject=None)))
    for _, value, _, headers in producer.sent:
        found = AccessRecorded.model_validate_json(value)
        assert (found.outcome, found.reason, found.count) == ("refused", "no-grant", 1)
        assert headers["ce_id"] == b"look-1"
        assert headers["ce_dataclassification"] == b"restricted"
    assert [key for _, _, key, _ in producer.sent] == [CHILD.encode(), b"attachment-1"]


def test_the_limit_of_refusals_is_per_caller_and_never_per_subject() -> None:
    refusals = Refusals(limit=3, seconds=60)
    assert [refusals.admit(look(), 0) for _ in range(5)] == [True, True, True, False, False]
    another = replace(POLICE, id="attachment-2")
    assert refusals.admit(look(actor=another), 0), "one caller's refusals used up another's"
    assert not refusals.admit(look(subject=OTHER), 1)
    assert refusals.due(59) == []
    folded = refusals.due(60)
    assert sorted((one.subject or "", one.count) for one in folded) == [(CHILD, 2), (OTHER, 1)]
    assert len({one.id for one in folded} | {"look-1"}) == 3, "a folded record needs an id of its own"
    assert refusals.admit(look(), 61), "a new window begins"


def test_a_caller_cannot_fill_the_memory_with_subjects() -> None:
    refusals = Refusals(limit=0, seconds=60)
    for n in range(5000):
        refusals.admit(look(subject=f"{n:08x}-1111-4111-8111-111111111111"), 0)
    folded = refusals.due(60)
    assert len(folded) == 201
    assert sum(one.count for one in folded) == 5000
    assert [one.count for one in folded if one.subject is None] == [4800]


async def test_folded_refusals_are_published_and_kept_while_the_bus_is_away() -> None:
    refusals, records = Refusals(limit=0, seconds=0), ScriptedRecords([])
    records.when_durable = never_durable
    refusals.admit(look(), 0)
    task = asyncio.create_task(fold_regularly(refusals, records, lambda: 1.0, every=0.01))
    while len(records.sent) < 2:
        await asyncio.sleep(0.001)
    records.when_durable = None
    tried = len(records.sent)
    while "durable" not in records.happened:
        await asyncio.sleep(0.001)
    assert {one.id for one in records.sent} == {records.sent[0].id}
    refusals.admit(look(subject=OTHER), 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert OTHER in {one.subject for one in records.sent[tried:]}, "what is folded must not be lost at the end"
