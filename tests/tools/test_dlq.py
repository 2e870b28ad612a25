"""`samlogg dlq` on a real Kafka: what is set aside by a real consumer, shown, replayed, and remembered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from faststream.kafka import KafkaMessage
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel

from chassis.delivery import Delivery
from chassis.events import text_headers
from chassis.kafka import make_broker, make_router, subscription
from samlogg.dlq import Done, main
from tests.bus import Bus, open_bus, until
from tests.stack import Kafka, Postgres

CANARY = "Ylva Kanarifugl"


class Body(BaseModel):
    n: int


@dataclass
class Desk:
    bus: Bus
    topic: str
    run: Callable[..., Any]
    bad: bool = True
    seen: list[tuple[int, str]] = field(default_factory=list)

    async def put(self, body: bytes, **more: Any) -> str:
        return await self.bus.put(self.topic, body, kind="probe.v1", **more)

    async def letters(self, *more: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.run("list", self.topic, "--json", *more))["letters"]
        return found

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        """A real consumer that turns down every number while `bad`."""
        router = make_router()
        take: DefaultSubscriber = router.subscriber(
            self.topic, **subscription(self.bus.settings, f"{self.topic}.group")
        )

        @take
        async def probe(body: Body, message: KafkaMessage) -> None:
            if self.bad:
                raise ValueError(CANARY)
            self.seen.append((body.n, text_headers(message.headers)["ce_id"]))

        delivery = Delivery("probe")
        delivery.attach(self.bus.producer)
        broker = make_broker(self.bus.settings, TracerProvider(), [delivery])
        broker.include_router(router)
        await broker.start()
        try:
            yield
        finally:
            await broker.stop()


@pytest.fixture
async def desk(
    kafka: Kafka, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    for name, value in kafka.settings.items():
        monkeypatch.setenv(f"SAMLOGG_{name.upper()}", value)

    async def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert await asyncio.to_thread(main, words) == code
        said = capsys.readouterr()
        return json.loads(said.out) if "--json" in words and code == 0 else said.out + said.err

    async with open_bus(kafka, postgres.url("postgres")) as bus:
        yield Desk(bus, bus.topic("dlq", 1), run)


async def set_aside(desk: Desk, count: int) -> list[str]:
    events = [await desk.put(json.dumps({"n": n}).encode(), key=f"k{n}") for n in range(count)]
    async with desk.consuming():
        for _ in range(300):
            if len(await desk.bus.records(f"{desk.topic}.dlq", count, within=0.2)) == count:
                break
        await asyncio.sleep(0.2)
    return events


async def test_a_dead_letter_is_listed_with_its_reason_and_its_place(desk: Desk) -> None:
    events = await set_aside(desk, 2)
    letters = await desk.letters()
    assert [one["id"] for one in letters] == events
    first = letters[0]
    assert (first["topic"], first["place"], first["source"], first["type"]) == (desk.topic, "0:0", "0:0", "probe.v1")
    assert first["consumer"] == "probe"
    assert first["reason"].startswith("builtins.ValueError at tests.tools.test_dlq:probe:")
    assert first["replayed"] is False
    table = await desk.run("list")
    assert desk.topic[:12] in table
    assert CANARY not in table + json.dumps(letters)


async def test_one_letter_is_shown_whole(desk: Desk) -> None:
    (event,) = await set_aside(desk, 1)
    shown = await desk.run("show", desk.topic, "0:0", "--json")
    assert (shown["key"], json.loads(shown["value"])) == ("k0", {"n": 0})
    assert ["ce_id", event] in shown["headers"]
    assert "no letter at 0:7" in await desk.run("show", desk.topic, "0:7", code=2)


async def test_one_letter_is_replayed_with_its_own_id_and_remembered(desk: Desk) -> None:
    events = await set_aside(desk, 3)
    desk.bad = False
    async with desk.consuming():
        replayed = await desk.run("replay", desk.topic, "0:1", "--json")
        assert [one["id"] for one in replayed["replayed"]] == [events[1]]
        await until(lambda: desk.seen)
    assert desk.seen == [(1, events[1])]
    assert [one["place"] for one in await desk.letters()] == ["0:0", "0:2"]
    assert [one["replayed"] for one in await desk.letters("--all")] == [False, True, False]
    (again,) = (await desk.bus.records(desk.topic, 4))[3:]
    assert not any(name.startswith("dlq_") for name, _ in again.headers)
    assert again.key == b"k1"


async def test_all_are_replayed_in_order_and_only_once(desk: Desk) -> None:
    events = await set_aside(desk, 4)
    desk.bad = False
    await desk.run("replay", desk.topic, "0:2", "--json")
    async with desk.consuming():
        replayed = await desk.run("replay", desk.topic, "--all", "--json")
        assert [one["id"] for one in replayed["replayed"]] == [events[0], events[1], events[3]]
        await until(lambda: len(desk.seen) == 4)
    assert [event for _, event in desk.seen] == [events[2], events[0], events[1], events[3]]
    assert await desk.letters() == []
    assert (await desk.run("replay", desk.topic, "--all", "--json"))["replayed"] == []


async def test_a_letter_that_is_still_bad_comes_back_as_a_new_one(desk: Desk) -> None:
    (event,) = await set_aside(desk, 1)
    async with desk.consuming():
        await desk.run("replay", desk.topic, "--all", "--json")
        assert len(await desk.bus.records(f"{desk.topic}.dlq", 2)) == 2
    (letter,) = await desk.letters()
    assert (letter["id"], letter["place"], letter["source"]) == (event, "0:1", "0:1")


async def test_an_unknown_topic_and_a_kafka_that_is_away_are_told_in_one_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no topic" in await desk.run("list", "nowhere.v1", code=2)
    monkeypatch.setenv("SAMLOGG_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    assert await desk.run("list", code=2) == "Kafka: KafkaConnectionError\n"


def test_what_was_replayed_out_of_order_is_remembered_in_ranges() -> None:
    done = Done()
    for offset in (3, 4, 5, 9):
        done.add(offset, earliest=0)
    kept = done.commit()
    assert (kept.offset, kept.metadata) == (0, "[[3,5],[9,9]]")
    again = Done.of(kept)
    assert [offset for offset in range(11) if offset in again] == [3, 4, 5, 9]
    for offset in (0, 1, 2):
        again.add(offset, earliest=0)
    assert (again.commit().offset, again.commit().metadata) == (6, "[[9,9]]")
    again.add(12, earliest=9)
    assert (again.commit().offset, again.commit().metadata) == (10, "[[12,12]]")
