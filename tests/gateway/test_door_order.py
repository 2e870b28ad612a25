"""The order of the steps: recorded before answered, decided again on the way out, closed when out of lease."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.handlers.forward import Given, Inner, Unreachable
from gateway.handlers.gathering import NotRecorded
from gateway.handlers.records import Look
from tests.gateway.door_parts import (
    CHILD,
    STRANGER,
    ScriptedRecords,
    given,
    grant,
    item,
    never_durable,
    rig,
    two_items,
)

READ = ("GET", "/subjects/{h}/items")


@pytest.mark.requirement("F073")
async def test_a_look_is_sent_before_the_owner_is_asked_and_durable_before_the_answer() -> None:
    async with rig() as door:
        released = asyncio.Event()

        async def later(_: Any) -> None:
            await released.wait()

        door.records.when_durable = later
        asking = asyncio.create_task(door.ask("teacher", *READ))
        while door.happened != ["sent answered", "asked"]:
            await asyncio.sleep(0)
        done, _ = await asyncio.wait({asking}, timeout=0.1)
        assert not done, "the answer left before its record was durable"
        released.set()
        told = await asking
        assert told.status == 200
        assert door.happened == ["sent answered", "asked", "durable"]
        look = door.records.sent[0]
        assert (look.subject, look.grants, look.categories, look.outcome) == (CHILD, ("g1",), ("school",), "answered")
        assert door.services.asked[0].record == look.id


async def test_a_record_that_never_becomes_durable_gives_no_answer() -> None:
    async with rig() as door:
        door.records.when_durable = never_durable
        told = await door.ask("teacher", *READ)
        assert (told.status, told.slug) == (503, "record-unavailable")
        assert told.headers["Retry-After"] == "2"
        assert b"items" not in told.body
        assert door.records.held == [(door.records.sent[0].id, "not-recorded-in-time")]


async def test_a_refusal_that_cannot_be_recorded_is_not_told_either() -> None:
    async with rig() as door:
        door.records.when_durable = never_durable
        told = await door.ask("police", *READ)
        assert (told.status, told.slug) == (503, "record-unavailable")


@pytest.mark.requirement("F039")
async def test_a_grant_withdrawn_while_the_owner_answers_gives_not_found() -> None:
    async with rig() as door:

        async def withdrawn_meanwhile(inner: Inner) -> Given:
            door.world.state(CHILD)
            return await two_items(inner)

        door.services.reply = withdrawn_meanwhile
        told = await door.ask("teacher", *READ)
        unknown = await door.ask("teacher", "GET", f"/subjects/{door.handle('teacher', STRANGER)}/items")
        assert told.status == 404
        assert (told.body, told.headers) == (unknown.body, unknown.headers)
        assert len(door.services.asked) == 1
        assert door.records.held == [(door.records.sent[0].id, "decided-anew")]
        assert [look.outcome for look in door.records.sent] == ["answered", "refused", "refused"]


async def test_what_was_cut_under_an_old_grant_does_not_leave_under_a_new_one() -> None:
    async with rig() as door:

        async def granted_anew(inner: Inner) -> Given:
            assert inner.permit is not None
            if len(door.services.asked) == 1:
                door.world.state(CHILD, grant("g2", "service:school-1", ["health"]))
                return await two_items(inner)
            return given({"items": [item("c", "health")], "next": None})

        door.services.reply = granted_anew
        told = await door.ask("teacher", *READ)
        assert told.status == 200
        assert [found["id"] for found in told.json["items"]] == ["c"]
        assert [cell.grant for inner in door.services.asked for cell in inner.permit.cells] == ["g1", "g2"]  # type: ignore[union-attr]
        assert door.records.held == [(door.records.sent[0].id, "decided-anew")]
        assert [look.grants for look in door.records.sent] == [("g1",), ("g2",)]


async def test_an_answer_is_started_over_only_once() -> None:
    async with rig() as door:

        async def ever_anew(inner: Inner) -> Given:
            door.world.state(CHILD, grant(f"n{len(door.services.asked)}", "service:school-1", ["school"]))
            return await two_items(inner)

        door.services.reply = ever_anew
        told = await door.ask("teacher", *READ)
        assert (told.status, told.slug) == (503, "decided-anew")
        assert told.headers["Retry-After"] == "1"
        assert len(door.services.asked) == 2
        assert [reason for _, reason in door.records.held] == ["decided-anew", "decided-anew"]


async def test_a_lease_that_ends_while_the_owner_answers_stops_the_answer() -> None:
    async with rig() as door:

        async def lease_ends(inner: Inner) -> Given:
            door.world.end_lease()
            return await two_items(inner)

        door.services.reply = lease_ends
        told = await door.ask("teacher", *READ)
        assert (told.status, told.slug) == (503, "freshness-unknown")
        assert told.headers["Retry-After"] == "1"
        assert door.records.held == [(door.records.sent[0].id, "freshness-unknown")]


async def test_out_of_lease_nothing_is_asked_and_refusals_are_not_told_either() -> None:
    async with rig() as door:
        door.world.end_lease()
        for who in ("teacher", "police"):
            told = await door.ask(who, *READ)
            assert (told.status, told.slug) == (503, "freshness-unknown")
        assert door.happened == []


async def test_a_lease_that_ends_while_a_refusal_is_recorded_stops_the_refusal() -> None:
    async with rig() as door:

        async def lease_ends(_: Any) -> None:
            door.world.end_lease()

        door.records.when_durable = lease_ends
        told = await door.ask("police", *READ)
        assert (told.status, told.slug) == (503, "freshness-unknown")


async def test_a_refusal_is_decided_again_when_consent_came_meanwhile() -> None:
    async with rig() as door:

        async def granted(_: Any) -> None:
            door.world.state(CHILD, grant("g9", "service:police-1", ["school"]))

        door.records.when_durable = granted
        told = await door.ask("police", *READ)
        assert told.status == 200
        assert [look.outcome for look in door.records.sent] == ["refused", "answered"]


async def test_a_write_that_cannot_be_repeated_is_not_started_over() -> None:
    async with rig() as door:

        async def changed(_: Inner) -> Given:
            door.world.state(CHILD, grant("g2", "service:school-1", ["school"], actions=("contribute",)))
            return given({"id": "e1", "category": "school"}, 201)

        door.services.reply = changed
        told = await door.ask("teacher", "POST", "/subjects/{h}/entries", body={"category": "school", "text": "x"})
        assert (told.status, told.slug) == (503, "decided-anew")
        assert len(door.services.asked) == 1


async def test_a_write_with_an_idempotency_key_is_started_over() -> None:
    async with rig() as door:

        async def changed_once(_: Inner) -> Given:
            if len(door.services.asked) == 1:
                door.world.state(CHILD, grant("g2", "service:school-1", ["school"], actions=("contribute",)))
            return given({"id": "e1", "category": "school"}, 201)

        door.services.reply = changed_once
        told = await door.ask(
            "teacher", "POST", "/subjects/{h}/entries", body={"category": "school"}, headers={"idempotency-key": "k1"}
        )
        assert told.status == 201
        assert [inner.headers["idempotency-key"] for inner in door.services.asked] == ["k1", "k1"]


async def test_a_service_that_does_not_answer_gives_503_and_the_look_is_held_back() -> None:
    async with rig() as door:

        async def down(_: Inner) -> Given:
            raise Unreachable

        door.services.reply = down
        told = await door.ask("teacher", *READ)
        assert (told.status, told.slug) == (503, "unavailable")
        assert told.headers["Retry-After"] == "2"
        assert door.records.held == [(door.records.sent[0].id, "service-unavailable")]


async def test_a_304_is_decided_and_recorded_too() -> None:
    async with rig() as door:
        first = await door.ask("teacher", *READ)
        again = await door.ask("teacher", *READ, headers={"if-none-match": first.headers["ETag"]})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", '"v1"')
        assert len(door.records.sent) == 2
        door.world.state(CHILD)
        gone = await door.ask("teacher", *READ, headers={"if-none-match": first.headers["ETag"]})
        assert gone.status == 404


async def test_an_error_of_ours_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as door:

        async def broken(_: Inner) -> Given:
            raise ZeroDivisionError("Kari Nordmann")

        door.services.reply = broken
        with caplog.at_level(logging.ERROR):
            told = await door.ask("teacher", *READ)
        assert (told.status, told.slug) == (500, "internal")
        assert b"Nordmann" not in told.body
        assert door.records.held == [(door.records.sent[0].id, "service-unavailable")]


async def test_a_look_that_never_left_is_not_taken_back() -> None:
    class Full(ScriptedRecords):
        async def send(self, look: Look) -> Awaitable[None]:
            raise NotRecorded

    async with rig() as door:
        full = Full(door.happened)
        door.door._records = full
        told = await door.ask("teacher", "GET", "/subjects/{h}/items")
        assert (told.status, told.slug) == (503, "record-unavailable")
        assert full.held == []
        assert door.services.asked == []
