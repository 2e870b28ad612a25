"""What the example agency holds after pointers, answers, refusals and an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from police.fetching import fetch, fetch_all
from police.gateway import Answer, Refused, UnavailableError
from police.store import Odd, Pointer, Store, Work
from tests.agency.fake_gateway import FIRST, PERSON, FakeGateway, item

NOW = "2026-01-01T08:00:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "police.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def gateway() -> FakeGateway:
    made = FakeGateway()
    made.reply("/subjects/h1/identity", body=PERSON)
    made.reply("/subjects/h1/items", body={"items": [item(1)], "next": None}, ETag='"one"')
    return made


def pointed(store: Store, what: str = "changed", event: str = "e1", handle: str = "h1") -> Work:
    store.receive([Pointer(event, handle, what)], NOW)
    return next(work for work in store.work() if work.handle == handle)


async def test_a_pointer_leads_to_the_person_and_the_granted_items(
    store: Store, gateway: FakeGateway, tmp_path: Path
) -> None:
    await fetch(pointed(store), gateway.door(tmp_path), store)
    held = store.held()
    assert [(one["handle"], one["given_name"], one["etag"]) for one in held["subjects"]] == [("h1", "Prøve", '"one"')]
    assert held["subjects"][0]["items"] == [item(1)]
    assert held["waiting"] == []


async def test_the_same_event_twice_is_fetched_once(store: Store, gateway: FakeGateway, tmp_path: Path) -> None:
    await fetch(pointed(store), gateway.door(tmp_path), store)
    store.receive([Pointer("e1", "h1", "changed")], NOW)
    assert store.work() == []
    assert [(event["id"], event["times"]) for event in store.held()["events"]] == [("e1", 2)]


async def test_a_grant_that_ended_deletes_what_was_held(store: Store, gateway: FakeGateway, tmp_path: Path) -> None:
    await fetch(pointed(store), gateway.door(tmp_path), store)
    pointed(store, "grant-ended", "e2")
    assert store.held()["subjects"] == []


async def test_an_answer_from_before_the_end_of_the_grant_is_not_stored(
    store: Store, gateway: FakeGateway, tmp_path: Path
) -> None:
    def ends_meanwhile(request: httpx.Request) -> httpx.Response:
        store.receive([Pointer("e2", "h1", "grant-ended")], NOW)
        return httpx.Response(200, json={"items": [item(1)], "next": None})

    gateway.replies["/subjects/h1/items"] = ends_meanwhile
    await fetch(pointed(store), gateway.door(tmp_path), store)
    held = store.held()
    assert held["subjects"] == []
    assert [waiting["handle"] for waiting in held["waiting"]] == ["h1"]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_refusal_is_recorded_and_leaves_nothing_held(
    store: Store, gateway: FakeGateway, tmp_path: Path, status: int
) -> None:
    door = gateway.door(tmp_path)
    await fetch(pointed(store), door, store)
    gateway.reply("/subjects/h1/items", status)
    await fetch(pointed(store, event="e2"), door, store)
    held = store.held()
    assert held["subjects"] == [] and held["waiting"] == []
    assert [(refusal["handle"], refusal["status"]) for refusal in held["refusals"]] == [("h1", status)]


async def test_whom_a_handle_means_is_asked_once(store: Store, gateway: FakeGateway, tmp_path: Path) -> None:
    door = gateway.door(tmp_path)
    await fetch(pointed(store), door, store)
    gateway.reply("/subjects/h1/items", body={"items": [item(1), item(2)], "next": None})
    await fetch(pointed(store, event="e2"), door, store)
    assert [request.url.path for request in gateway.asked].count("/subjects/h1/identity") == 1
    [subject] = store.held()["subjects"]
    assert subject["given_name"] == "Prøve" and len(subject["items"]) == 2


async def test_the_tag_is_sent_and_what_is_unchanged_stays(store: Store, gateway: FakeGateway, tmp_path: Path) -> None:
    door = gateway.door(tmp_path)
    await fetch(pointed(store), door, store)
    gateway.reply("/subjects/h1/items", 304)
    await fetch(pointed(store, event="e2"), door, store)
    assert gateway.asked[-1].headers["If-None-Match"] == '"one"'
    assert store.held()["subjects"][0]["items"] == [item(1)]


async def test_all_pages_are_fetched_and_a_tag_of_one_page_is_not_kept(
    store: Store, gateway: FakeGateway, tmp_path: Path
) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        second = request.url.params.get("after") == "c1"
        body = {"items": [item(2 if second else 1)], "next": None if second else "c1"}
        return httpx.Response(200, json=body, headers={"ETag": '"page"'})

    gateway.replies["/subjects/h1/items"] = page
    await fetch(pointed(store), gateway.door(tmp_path), store)
    [subject] = store.held()["subjects"]
    assert [one["id"] for one in subject["items"]] == ["item-1", "item-2"]
    assert subject["etag"] is None


async def test_without_an_answer_the_work_stays_and_what_is_held_stays(
    store: Store, gateway: FakeGateway, tmp_path: Path
) -> None:
    door = gateway.door(tmp_path)
    await fetch(pointed(store), door, store)
    gateway.reply("/subjects/h1/items", 503, Retry_After="7")
    work = pointed(store, event="e2")
    with pytest.raises(UnavailableError) as caught:
        await fetch(work, door, store)
    assert caught.value.wait == 7
    assert [one.handle for one in store.work()] == ["h1"]
    assert len(store.held()["subjects"]) == 1


async def test_a_handle_that_has_to_wait_does_not_stop_the_others(
    store: Store, gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.reply("/subjects/h0/identity", 503, Retry_After="0")
    pointed(store, event="e0", handle="h0")
    pointed(store)
    arrived = asyncio.Event()
    running = asyncio.ensure_future(fetch_all(gateway.door(tmp_path), store, arrived))
    async with asyncio.timeout(5):
        while not store.held()["subjects"]:
            await asyncio.sleep(0)
    running.cancel()
    assert [one.handle for one in store.work()] == ["h0"]


async def test_the_second_gateway_is_asked_when_the_first_is_away(gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.away.add(FIRST)
    assert isinstance(await gateway.door(tmp_path).identity("h1"), Answer)


async def test_no_gateway_at_all_is_a_wait_and_no_refusal(gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.away.add("http://127.0.0.1")
    with pytest.raises(UnavailableError):
        await gateway.door(tmp_path).identity("h1")


async def test_a_token_that_is_not_taken_is_renewed_once(gateway: FakeGateway, tmp_path: Path) -> None:
    def only_the_second(request: httpx.Request) -> httpx.Response:
        taken = request.headers["Authorization"] == "Bearer token-2"
        return httpx.Response(200, json=PERSON) if taken else httpx.Response(401)

    gateway.replies["/subjects/h1/identity"] = only_the_second
    assert isinstance(await gateway.door(tmp_path).identity("h1"), Answer)
    assert gateway.tokens == 2


async def test_an_unknown_handle_is_a_refusal(gateway: FakeGateway, tmp_path: Path) -> None:
    assert await gateway.door(tmp_path).identity("nobody") == Refused(404)


def test_a_message_that_is_no_pointer_is_counted_by_its_place(store: Store) -> None:
    store.receive([Odd(0, 7)], NOW)
    assert store.held()["odd"] == 1 and store.work() == []
