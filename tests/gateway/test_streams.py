"""Live streams through a real door and real sockets: every chunk is decided, recorded and checked as it leaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.clock import lease_now
from chassis.problems import Problem
from gateway.api.streams import ROUTE
from gateway.handlers import streams
from gateway.handlers.records import Look
from tests.contracts.messages import ROOT
from tests.gateway.door_parts import CHILD, GUARDIAN, OTHER, Rig, grant, identify, never_durable, rig
from tests.gateway.listening import Lag, happens, listen, listening, now

GOAL = "44444444-4444-4444-8444-444444444444"
AT_ONCE = 0.1
"""Within this many seconds a stream ends."""


@pytest.fixture(autouse=True)
async def lag() -> AsyncIterator[Lag]:
    async with Lag() as found:
        yield found


async def quiet() -> None:
    """Long enough for whatever would come to have come."""
    await asyncio.sleep(0.05)


async def nobody_listens(door: Rig) -> None:
    """Until the gateway has seen that everybody left."""
    while door.streams._all:
        await asyncio.sleep(0.002)


def held(door: Rig) -> list[tuple[str, str]]:
    """Route and reason of what was held back."""
    by_id = {look.id: look for look in door.records.sent}
    return [(by_id[id_].route, reason) for id_, reason in door.records.held]


async def test_a_message_says_where_to_look_and_nothing_of_what_it_says() -> None:
    async with rig() as door, listen(door) as heard:
        change = happens(door)
        [message] = await heard.until(1)
        handle = door.handle("teacher")
        assert heard.status == 200
        assert heard.head["content-type"] == "text/event-stream"
        assert heard.head["cache-control"] == "no-store"
        assert (message.event, message.data) == (
            "changed",
            {
                "kind": "entry.added", "item": change.item, "category": "school",
                "href": f"/subjects/{handle}/items/{change.item}",
            },
        )  # fmt: skip
        happens(door, None, kind="log.level-changed")
        _, message = await heard.until(2)
        assert message.data == {
            "kind": "log.level-changed", "item": None, "category": None, "href": f"/subjects/{handle}/log",
        }  # fmt: skip


async def test_the_beginning_and_every_message_have_a_record_each_of_what_they_are_about() -> None:
    async with rig() as door:
        door.world.state(
            CHILD, grant("g1", "service:school-1", ["school"]), grant("g2", "service:school-1", ["health"])
        )
        async with listen(door) as heard:
            happens(door, "health")
            await heard.until(1)
            assert [(look.route, look.categories, look.grants, look.outcome) for look in door.records.sent] == [
                ("gateway.stream", ("school", "health"), ("g1", "g2"), "answered"),
                ("gateway.stream", ("health",), ("g2",), "answered"),
            ]
            assert door.records.held == []


async def test_a_message_waits_for_its_record() -> None:
    durable = asyncio.Event()

    async def when(_: Look) -> None:
        await durable.wait()

    async with rig() as door, listen(door) as heard:
        door.records.when_durable = when
        happens(door)
        await quiet()
        assert heard.messages == []
        durable.set()
        await heard.until(1)


async def test_what_cannot_be_recorded_is_not_said_and_ends_the_stream() -> None:
    async with rig() as door, listen(door) as heard:
        door.records.when_durable = never_durable
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []
        assert held(door) == [("gateway.stream", "not-recorded-in-time")]


async def test_what_the_reader_may_not_know_of_is_neither_told_nor_timed_nor_recorded(lag: Lag) -> None:
    async with rig(beat=0.2) as door:
        door.world.state(CHILD, grant("g1", "service:school-1", ["school"], back=1_000))
        async with listen(door) as heard:
            began = now()
            for _ in range(3 * streams.WAITING_AT_MOST):
                happens(door, "health")
                happens(door, "school", at=999.0)  # before the grant reaches back
                happens(door, "nonsense")
                happens(door, "school", subject=OTHER)
            while len(heard.beats) < 2:
                await asyncio.sleep(0.005)
                happens(door, "health")
            assert heard.messages == []
            assert heard.ended is None
            assert len(door.records.sent) == 1
            assert 0.35 < heard.beats[1] - began < lag.within(0.7), "what is hidden moved the heartbeats"
            happens(door, "school", at=1_000.0)
            await heard.until(1)


async def test_nobody_hears_of_a_log_that_is_not_for_them() -> None:
    async with rig() as door:
        async with listen(door, "police") as refused:
            assert refused.status == 404
        other = await door.ask("police", "GET", "/subjects/nobody/stream")
        assert (other.status, other.body) == (404, refused.body)
        assert [look.outcome for look in door.records.sent] == ["refused", "refused"]
        assert (await door.ask(None, "GET", f"/subjects/{door.handle('teacher')}/stream")).status == 401
        assert (await door.ask("weak", "GET", "/subjects/{h}/stream")).slug == "low-assurance"
        assert door.streams._all == set()


async def test_a_withdrawal_closes_the_stream_at_once_and_not_one_more_byte_comes(lag: Lag) -> None:
    async with rig() as door, listen(door) as heard:
        happens(door)
        await heard.until(1)
        door.world.state(CHILD)
        withdrawn = now()
        happens(door)
        assert await heard.over() == "closed"
        assert heard.ended_at - withdrawn < lag.within(AT_ONCE)
        assert len(heard.messages) == 1
        assert heard.beats == []
        assert door.streams._all == set()


async def test_the_withdrawal_of_one_of_two_grants_leaves_the_stream_open_for_the_other() -> None:
    async with rig() as door:
        both = [grant("g1", "service:school-1", ["school"]), grant("g2", "service:school-1", ["health"])]
        door.world.state(CHILD, *both)
        async with listen(door) as heard:
            door.world.state(CHILD, both[0])
            happens(door, "health")
            happens(door, "school")
            await heard.until(1)
            await quiet()
            assert [message.data["category"] for message in heard.messages] == ["school"]


async def test_what_is_kept_is_not_told_to_who_sees_by_law_and_keeping_it_ends_nothing() -> None:
    async with rig() as door:
        by_law = grant("law", f"person:{GUARDIAN}", ["school", "health"]) | {"kind": "parental"}
        door.world.state(CHILD, by_law)
        async with listen(door, "guardian") as heard:
            kept = {"categories": ["health"], "items": [{"id": GOAL, "category": "school"}]}
            door.world.state(CHILD, by_law, kept=kept)
            happens(door, "health")
            happens(door, "school", item=GOAL)
            happens(door, "school", above=((GOAL, "school"),))
            own = happens(door, "health", by=GUARDIAN)
            plain = happens(door, "school")
            await heard.until(2)
            await quiet()
            assert [message.data["item"] for message in heard.messages] == [own.item, plain.item]
            assert heard.ended is None


async def test_what_is_withdrawn_while_its_record_is_on_its_way_is_not_said_and_the_record_says_so() -> None:
    async with rig() as door, listen(door) as heard:

        async def withdrawn_meanwhile(_: Look) -> None:
            door.world.state(CHILD)

        door.records.when_durable = withdrawn_meanwhile
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []
        assert held(door) == [("gateway.stream", "decided-anew")]


async def test_what_is_granted_anew_meanwhile_is_said_under_the_new_grant_and_recorded_under_it() -> None:
    async with rig() as door, listen(door) as heard:

        async def granted_anew(look: Look) -> None:
            if look.grants == ("g1",):
                door.world.state(CHILD, grant("g9", "service:school-1", ["school"]))

        door.records.when_durable = granted_anew
        happens(door)
        await heard.until(1)
        assert held(door) == [("gateway.stream", "decided-anew")]
        assert door.records.held[0][0] == door.records.sent[1].id
        assert [look.grants for look in door.records.sent] == [("g1",), ("g1",), ("g9",)]


async def test_a_change_that_goes_on_and_on_ends_the_stream_instead_of_guessing() -> None:
    async with rig() as door, listen(door) as heard:

        async def granted_anew(look: Look) -> None:
            door.world.state(CHILD, grant(f"{look.grants[0]}x", "service:school-1", ["school"]))

        door.records.when_durable = granted_anew
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []
        assert len(door.records.held) == 2


async def test_the_end_of_the_lease_closes_every_stream_within_100_ms(lag: Lag) -> None:
    async with rig() as door, listen(door) as first, listen(door) as second:
        watching = asyncio.create_task(door.streams.watch_lease())
        await quiet()
        assert first.ended is second.ended is None
        door.world.end_lease()
        ended = now()
        assert (await first.over(), await second.over()) == ("closed", "closed")
        assert max(first.ended_at, second.ended_at) - ended < lag.within(AT_ONCE)
        watching.cancel()
        assert (await door.ask("teacher", "GET", "/subjects/{h}/stream")).slug == "freshness-unknown"


async def test_without_a_lease_neither_a_message_nor_a_heartbeat_leaves_though_nobody_watches() -> None:
    async with rig(beat=0.05) as door, listen(door) as beating:
        while not beating.beats:
            await asyncio.sleep(0.005)
        door.world.end_lease()
        beats = len(beating.beats)
        assert await beating.over() == "closed"
        assert len(beating.beats) == beats
    async with rig() as door, listen(door) as heard:
        door.world.end_lease()
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []
        assert len(door.records.sent) == 1


async def test_without_a_lease_nothing_is_taken_for_hidden_who_comes_back_hears_of_it() -> None:
    async with rig() as door:
        async with listen(door) as heard:
            while not heard.last_id:
                await asyncio.sleep(0.002)
            door.world.end_lease()
            change = happens(door, "health")  # a grant of it may have been told to be in force: it is not read here yet
            assert await heard.over() == "closed"
        door.world.lease.granted(lease_now(), 3600)
        both = [grant("g1", "service:school-1", ["school"]), grant("g2", "service:school-1", ["health"])]
        door.world.state(CHILD, *both)
        async with listen(door, last_event_id=heard.last_id) as again:
            assert (await again.until(1))[0].data["item"] == change.item


async def test_a_lease_that_ends_while_the_record_is_on_its_way_holds_the_message_back() -> None:
    async with rig() as door, listen(door) as heard:

        async def ended(_: Look) -> None:
            door.world.end_lease()

        door.records.when_durable = ended
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []
        assert held(door) == [("gateway.stream", "freshness-unknown")]


async def test_a_grant_that_ends_by_itself_ends_the_stream_with_the_next_heartbeat() -> None:
    async with rig(beat=0.05) as door:
        door.world.state(CHILD, grant("g1", "service:school-1", ["school"], until=int(time.time()) + 1))
        async with listen(door) as heard:
            assert await heard.over(3.0) == "closed"


async def test_staff_who_left_hear_nothing_more(lag: Lag) -> None:
    async with rig() as door, listen(door) as heard:
        door.world._entity("staff", "staff-1", services=["school-1"], role="professional", active=False)
        left = now()
        door.streams.changed("directory.state.v1", "staff:staff-1")
        assert await heard.over() == "closed"
        assert heard.ended_at - left < lag.within(AT_ONCE)


async def test_a_login_that_has_ended_hears_nothing_more() -> None:
    async with rig(beat=0.1) as door:

        async def ended(_: Any) -> Any:
            raise Problem(401, "session-ended", "The session has ended; log in again.")

        async with listen(door) as silent, listen(door) as waiting:
            door.app._streaming._still = ended
            assert await silent.over() == "closed"
            assert await waiting.over() == "closed"
            assert silent.beats == []
        door.app._streaming._still = identify
        async with listen(door) as heard:
            door.app._streaming._still = ended
            happens(door)
            assert await heard.over() == "closed"
            assert heard.messages == []


async def test_a_login_that_now_means_somebody_else_hears_nothing_more() -> None:
    async with rig() as door, listen(door) as heard:

        async def another(scope: Any) -> Any:
            found = await identify(scope)
            return type(found)(found.actor, "agency:another")

        door.app._streaming._still = another
        happens(door)
        assert await heard.over() == "closed"
        assert heard.messages == []


async def test_who_comes_back_hears_what_they_missed_once_and_in_order() -> None:
    async with rig() as door:
        async with listen(door) as heard:
            assert heard.last_id == "" or heard.messages == []
            happens(door)
            [first] = await heard.until(1)
        missed = [happens(door), happens(door)]
        hidden = happens(door, "health")
        async with listen(door, last_event_id=first.id) as again:
            more = happens(door)
            await again.until(3)
            await quiet()
            told = [message.data["item"] for message in again.messages]
            assert told == [missed[0].item, missed[1].item, more.item]
            assert hidden.item not in told
        assert len({message.id for message in again.messages}) == 3


async def test_who_heard_nothing_before_the_cut_can_come_back_too() -> None:
    async with rig() as door:
        async with listen(door) as heard:
            while not heard.last_id:
                await asyncio.sleep(0.002)
        change = happens(door)
        async with listen(door, last_event_id=heard.last_id) as again:
            [message] = await again.until(1)
            assert message.data["item"] == change.item


async def test_who_is_away_for_too_long_is_told_that_something_was_missed() -> None:
    async with rig() as door:
        door.streams._recent._most = 3
        async with listen(door) as heard:
            happens(door)
            [first] = await heard.until(1)
        for _ in range(4):
            happens(door)
        async with listen(door, last_event_id=first.id) as again:
            [missed] = await again.until(1)
            assert (missed.event, missed.data) == ("missed", {})
            assert missed.id not in ("", first.id)
            change = happens(door)
            assert (await again.until(2))[1].data["item"] == change.item
        async with listen(door, last_event_id=missed.id) as third:
            assert [one.data["item"] for one in await third.until(1)] == [change.item]


async def test_ids_are_the_readers_own_and_say_nothing_to_another() -> None:
    async with rig() as door:
        both = [grant("g1", "service:school-1", ["school"]), grant("g2", "service:police-1", ["school"])]
        door.world.state(CHILD, *both)
        async with listen(door) as school, listen(door, "police") as police:
            happens(door)
            [one], [other] = await school.until(1), await police.until(1)
            assert one.id != other.id
            assert one.data["href"] != other.data["href"]
        async with listen(door, "police", last_event_id=one.id) as stolen:
            assert (await stolen.until(1))[0].event == "missed"
        async with listen(door, last_event_id="x" * 43) as nonsense:
            assert (await nonsense.until(1))[0].event == "missed"


async def test_what_a_relay_repeats_is_said_once() -> None:
    async with rig() as door, listen(door) as heard:
        change = happens(door)
        door.streams.heard(change.place._replace(offset=change.place.offset + 1_000_000), change)
        await heard.until(1)
        await quiet()
        assert len(heard.messages) == 1


async def test_a_reader_has_so_many_streams_and_a_gateway_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS_PER_READER", 1)
    async with rig() as door:
        both = [grant("g1", "service:school-1", ["school"]), grant("g2", "service:police-1", ["school"])]
        door.world.state(CHILD, *both)
        async with listen(door):
            told = await door.ask("teacher", "GET", "/subjects/{h}/stream")
            assert (told.status, told.slug) == (429, "too-many-streams")
            assert told.headers["retry-after"]
            async with listen(door, "police") as other:
                assert other.status == 200
            monkeypatch.setattr(streams, "STREAMS_AT_ONCE", 1)
            told = await door.ask("police", "GET", "/subjects/{h}/stream")
            assert (told.status, told.slug) == (503, "streams-full")
        await nobody_listens(door)
        async with listen(door) as heard:
            assert heard.status == 200


async def test_a_gateway_that_has_not_read_what_happened_opens_no_stream() -> None:
    async with rig() as door:
        door.streams._partitions = 0
        assert (await door.ask("teacher", "GET", "/subjects/{h}/stream")).slug == "streams-full"


async def test_a_reader_who_goes_away_is_forgotten_at_once() -> None:
    async with rig() as door:
        async with listen(door):
            assert len(door.streams._all) == 1
        left = now()
        while door.streams._all:
            await asyncio.sleep(0.002)
            assert now() - left < 1.0
        happens(door)
        await quiet()
        assert len(door.records.sent) == 1


async def test_who_is_too_far_behind_is_cut_off_and_goes_on_from_there() -> None:
    goes_on = asyncio.Event()

    async def when(look: Look) -> None:
        if len(door.records.sent) > 2:
            await goes_on.wait()

    async with rig() as door:
        async with listen(door) as heard:
            door.records.when_durable = when
            happens(door)
            [first] = await heard.until(1)
            for _ in range(streams.WAITING_AT_MOST + 2):
                happens(door)
                await asyncio.sleep(0)
            goes_on.set()
            assert await heard.over() == "closed"
            assert len(heard.messages) < streams.WAITING_AT_MOST
        async with listen(door, last_event_id=first.id) as again:
            await again.until(streams.WAITING_AT_MOST + 2)


async def test_a_stream_ends_when_its_gateway_does() -> None:
    async with rig() as door, listen(door) as heard:
        for connection in list(door.connections):
            connection.shutdown()
        assert await heard.over() == "closed"


async def test_a_connection_that_streams_serves_nothing_else() -> None:
    async with rig() as door, listening(door.address, f"/subjects/{door.handle('teacher')}/stream", "teacher") as heard:
        assert heard.head["connection"] == "close"
        assert "content-length" not in heard.head
        assert "transfer-encoding" not in heard.head


async def test_what_a_grant_does_not_reach_back_to_is_not_told_to_who_comes_back_either() -> None:
    async with rig() as door:
        door.world.state(CHILD, grant("g1", "service:school-1", ["school"], back=1_000))
        async with listen(door) as heard:
            while not heard.last_id:
                await asyncio.sleep(0.002)
        await nobody_listens(door)
        happens(door, at=999.0)
        seen = happens(door, at=1_000.0)
        async with listen(door, last_event_id=heard.last_id) as again:
            await again.until(1)
            await quiet()
            assert [message.data["item"] for message in again.messages] == [seen.item]
            assert len(door.records.sent) == 3


def test_the_contract_says_what_is_served() -> None:
    routes = json.loads((ROOT / "services" / "gateway" / "contract" / "routes.json").read_text())
    assert {**ROUTE, "subject": "path"} in routes
