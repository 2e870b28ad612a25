"""What the door lets in and out: existence stays private, bodies are cut and translated, bad input is told plainly."""

import asyncio
import json
from typing import Any

import pytest

from chassis.problems import Problem
from gateway.handlers.forward import Given, Inner
from tests.gateway.door_parts import (
    CHILD,
    GUARDIAN,
    OTHER,
    STRANGER,
    TOKENS,
    Told,
    World,
    given,
    grant,
    item,
    never_durable,
    rig,
)


def replying(*items: Any, **more: str) -> Any:
    """An owner that answers this list, whatever it was permitted."""

    async def reply(_: Inner) -> Given:
        return given({"items": list(items), "next": "cursor"}, 200, **more)

    return reply


@pytest.mark.requirement("F074")
async def test_nobodys_handle_and_no_grant_and_a_withdrawn_one_look_the_same() -> None:
    async with rig() as door:
        door.world.state(OTHER, grant("gx", "service:police-1", ["health"], until=1))
        paths = [
            f"/subjects/{door.handle('police')}/items",
            f"/subjects/{door.handle('police', OTHER)}/items",
            f"/subjects/{door.handle('police', STRANGER)}/items",
            f"/subjects/{door.handle('teacher')}/items",
            f"/subjects/{CHILD}/items",
            "/subjects/nothing/items",
        ]
        told = [await door.ask("police", "GET", path) for path in paths]
        assert {(one.status, one.body, tuple(sorted(one.headers.items()))) for one in told} == {
            (404, told[0].body, tuple(sorted(told[0].headers.items())))
        }
        assert door.services.asked == []
        assert [look.subject for look in door.records.sent] == [CHILD, OTHER, STRANGER, None, None, None]
        assert {look.outcome for look in door.records.sent} == {"refused"}
        assert door.records.sent[3].key() == "attachment-1"


async def test_what_the_owner_does_not_find_looks_like_what_may_not_be_seen() -> None:
    async with rig() as door:

        async def not_there(_: Inner) -> Given:
            return given({"type": "urn:samlogg:problem:not-found", "title": "another text", "status": 404}, 404)

        door.services.reply = not_there
        missing = await door.ask("teacher", "GET", "/subjects/{h}/items/i1")
        refused = await door.ask("police", "GET", "/subjects/{h}/items/i1")
        assert (missing.status, missing.body) == (refused.status, refused.body)


async def test_an_item_outside_the_permit_is_not_found_even_if_its_owner_gives_it() -> None:
    async with rig() as door:

        async def too_much(_: Inner) -> Given:
            return given(item("i1", "health", text="secret"), etag='"x"')

        door.services.reply = too_much
        told = await door.ask("teacher", "GET", "/subjects/{h}/items/i1")
        assert told.status == 404
        assert "etag" not in told.headers


@pytest.mark.requirement("F038")
async def test_items_outside_the_permit_leave_no_trace_in_the_answer() -> None:
    async with rig() as door:
        door.services.reply = replying(item("a", "school"), item("b", "health"), etag='"over-both"')
        told = await door.ask("teacher", "GET", "/subjects/{h}/items")
        assert [found["id"] for found in told.json["items"]] == ["a"]
        assert told.json["next"] is None
        assert told.headers["etag"] != '"over-both"'
        door.services.reply = replying(item("a", "school"), item("c", "health"), item("d", "health"), etag='"another"')
        assert (await door.ask("teacher", "GET", "/subjects/{h}/items")).headers["etag"] == told.headers["etag"]


async def test_ids_go_out_as_the_callers_own_handles_and_come_back_as_ids() -> None:
    async with rig() as door:

        async def echo(inner: Inner) -> Given:
            assert inner.target == f"/subjects/{CHILD}/entries"
            body = json.loads(inner.body)
            assert body == {"category": "school", "person": GUARDIAN, "responsible": f"person:{GUARDIAN}"}
            found = {**body, "subject": CHILD, "by": {"kind": "person", "id": CHILD}, "asked": [CHILD, GUARDIAN]}
            return given(found, 201, location=f"/subjects/{CHILD}/items/e1")

        door.services.reply = echo
        guardian, child = door.handle("teacher", GUARDIAN), door.handle("teacher")
        told = await door.ask(
            "teacher",
            "POST",
            "/subjects/{h}/entries",
            body={"category": "school", "person": guardian, "responsible": f"person:{guardian}"},
        )
        assert told.json == {
            "category": "school",
            "person": guardian,
            "responsible": f"person:{guardian}",
            "subject": child,
            "by": {"kind": "person", "id": child},
            "asked": [child, guardian],
        }
        assert told.headers["location"] == f"/subjects/{child}/items/e1"
        assert CHILD.encode() not in told.body


async def test_another_audiences_handle_in_a_body_is_told_without_repeating_it() -> None:
    async with rig() as door:
        foreign = door.handle("police", GUARDIAN)
        told = await door.ask(
            "teacher", "POST", "/subjects/{h}/entries", body={"category": "school", "person": foreign}
        )
        assert (told.status, told.slug) == (422, "invalid")
        assert foreign.encode() not in told.body
        assert door.happened == []


async def test_an_answer_that_still_holds_the_inner_id_is_stopped() -> None:
    async with rig() as door:
        door.services.reply = replying(item("a", "school", text=f"see {CHILD}"))
        told = await door.ask("teacher", "GET", "/subjects/{h}/items")
        assert (told.status, told.slug) == (503, "unavailable")
        assert CHILD.encode() not in told.body
        assert door.records.held == [(door.records.sent[0].id, "service-unavailable")]


async def test_the_category_of_a_write_comes_from_its_body() -> None:
    async with rig() as door:
        refused = await door.ask("teacher", "POST", "/subjects/{h}/entries", body={"category": "health", "text": "x"})
        assert refused.status == 404
        assert door.services.asked == []
        assert (door.records.sent[0].reason, door.records.sent[0].action) == ("category-not-granted", "contribute")


async def test_a_doubled_key_is_forwarded_as_it_was_decided() -> None:
    async with rig() as door:

        async def kept(inner: Inner) -> Given:
            assert inner.body == b'{"category":"school"}'
            return given({"id": "e", "category": "school"}, 201)

        door.services.reply = kept
        body = b'{"category": "health", "category": "school"}'
        assert (await door.ask("teacher", "POST", "/subjects/{h}/entries", body=body)).status == 201


@pytest.mark.parametrize(
    ("body", "kind", "status", "slug"),
    [
        (b'{"category": "sch', "application/json", 422, "invalid"),
        (b"[]", "application/json", 422, "invalid"),
        (b"[" * 100_000, "application/json", 422, "invalid"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "application/json", 422, "invalid"),
        (b"name=Kari", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b'{"a": "' + b"x" * (256 * 1024) + b'"}', "application/json", 413, "too-large"),
    ],
)
async def test_bad_bodies_are_told_plainly_and_the_same_to_everybody(
    body: bytes, kind: str, status: int, slug: str
) -> None:
    async with rig() as door:
        told: list[Told] = []
        for who in ("teacher", "police"):
            told.append(await door.ask(who, "POST", "/subjects/{h}/entries", body=body, headers={"content-type": kind}))
        assert {(one.status, one.slug) for one in told} == {(status, slug)}
        assert told[0].body == told[1].body
        assert b"Kari" not in told[0].body
        assert door.happened == []


async def test_a_body_without_a_length_is_limited_too() -> None:
    async with rig() as door:

        async def much() -> Any:
            for _ in range(20):
                yield b"x" * 20_000

        url = f"http://{door.address[0]}:{door.address[1]}/subjects/{door.handle('teacher')}/entries"
        headers = {"authorization": "Bearer teacher", "content-type": "application/json"}
        async with door.client.post(url, data=much(), headers=headers) as answer:
            assert answer.status == 413
            assert answer.headers["connection"] == "close"


async def test_the_owners_own_422_passes_through_and_is_no_look() -> None:
    async with rig() as door:

        async def invalid(_: Inner) -> Given:
            return given({"type": "urn:samlogg:problem:invalid", "title": "t", "status": 422, "errors": []}, 422)

        door.services.reply = invalid
        told = await door.ask("teacher", "POST", "/subjects/{h}/entries", body={"category": "school"})
        assert (told.status, told.slug, told.headers["content-type"]) == (422, "invalid", "application/problem+json")
        assert [reason for _, reason in door.records.held] == ["turned-down"]


@pytest.mark.parametrize("status", [401, 500, 502, 503])
async def test_a_failing_service_is_one_503_without_its_words(status: int) -> None:
    async with rig() as door:

        async def failing(_: Inner) -> Given:
            return given({"detail": "Kari Nordmann"}, status)

        door.services.reply = failing
        told = await door.ask("teacher", "GET", "/subjects/{h}/items")
        assert (told.status, told.slug) == (503, "unavailable")
        assert b"Kari" not in told.body


async def test_unknown_paths_and_methods_are_told_before_anybody_is_asked() -> None:
    async with rig() as door:
        assert (await door.ask(None, "GET", "/nothing")).slug == "not-found"
        assert (await door.ask(None, "GET", "/subjects/../inner/heartbeat")).slug == "not-found"
        assert (await door.ask(None, "GET", "/subjects/%2e%2e/items")).slug == "not-found"
        wrong = await door.ask("teacher", "DELETE", "/subjects/{h}/items")
        assert (wrong.status, wrong.headers["allow"]) == (405, "GET")
        nobody = await door.ask(None, "GET", "/subjects/x/items")
        assert (nobody.status, nobody.slug) == (401, "not-logged-in")
        assert door.happened == []


@pytest.mark.requirement("X1")
async def test_low_assurance_is_refused_by_that_name_and_recorded() -> None:
    async with rig() as door:
        told = await door.ask("weak", "GET", "/subjects/{h}/items")
        assert (told.status, told.slug) == (403, "low-assurance")
        assert [look.reason for look in door.records.sent] == ["assurance-too-low"]


async def test_a_role_that_is_missing_is_told_where_no_subject_is_concerned() -> None:
    async with rig() as door:
        told = await door.ask("youth", "POST", "/requests", body={})
        assert (told.status, told.slug, told.json["reason"]) == (403, "not-allowed", "role-missing")


async def test_anybody_may_use_a_public_route() -> None:
    async with rig() as door:
        told = await door.ask(None, "GET", "/services?district=d&q=helse")
        assert told.status == 200
        inner = door.services.asked[0]
        assert inner.target == "/services?district=d&q=helse"
        assert (inner.actor.id, inner.actor.kind, inner.permit, inner.record) == (None, "person", None, None)


async def test_a_query_that_no_url_may_have_is_refused_and_others_pass_as_they_are() -> None:
    async with rig() as door:
        for query, status in ((b"q=\xc3\xa5", b"400"), (b"q=" + b"x" * 2050, b"414"), (b"q=%C3%A5&a=%2F%22", b"200")):
            reader, writer = await asyncio.open_connection(*door.address)
            path = f"/subjects/{door.handle('teacher')}/items?".encode() + query
            writer.write(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nauthorization: Bearer teacher\r\n\r\n")
            assert (await reader.readline()).split(b" ")[1] == status
            writer.close()
        assert [inner.target.partition("?")[2] for inner in door.services.asked] == ["q=%C3%A5&a=%2F%22"]


async def test_a_look_names_what_could_be_seen_and_not_the_rights_beside_it() -> None:
    world = World()
    world.state(CHILD, grant("s", f"person:{CHILD}", ["school", "looks", "grants"], kind="self"))
    async with rig(world) as door:
        await door.ask("youth", "GET", "/subjects/{h}/items")
        await door.ask("youth", "GET", "/subjects/{h}/looks")
        assert [look.categories for look in door.records.sent] == [("school",), ("looks",)]


async def test_every_answer_forbids_storing_and_framing() -> None:
    async with rig() as door:
        for told in [
            await door.ask("teacher", "GET", "/subjects/{h}/items"),
            await door.ask("police", "GET", "/subjects/{h}/items"),
            await door.ask(None, "GET", "/nothing"),
            await door.ask("teacher", "POST", "/subjects/{h}/entries", body=b"{"),
        ]:
            assert told.headers["cache-control"] == "no-store"
            assert told.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in told.headers["content-security-policy"]
            assert "server" not in told.headers


async def test_a_request_id_is_neither_echoed_nor_forwarded() -> None:
    async with rig() as door:
        told = await door.ask("teacher", "GET", "/subjects/{h}/items", headers={"x-request-id": "kari-1"})
        assert "x-request-id" not in told.headers
        assert dict(door.services.asked[0].headers) == {}


async def test_a_machine_is_told_for_what_and_how_long_it_may_use_an_answer() -> None:
    world = World()
    world.state(CHILD, grant("g1", "service:police-1", ["school"]), grant("g2", "service:school-1", ["school"]))
    world.lease.until = 0.0
    async with rig(world) as door:
        from chassis.clock import lease_now

        world.lease.granted(lease_now(), 5.0)
        told = await door.ask("police", "GET", "/subjects/{h}/items")
        assert told.headers["samlogg-purpose"] == "follow-up"
        assert 1000 < int(told.headers["samlogg-use-within-ms"]) <= 3500
        assert "samlogg-use-within-ms" not in (await door.ask("teacher", "GET", "/subjects/{h}/items")).headers
        assert door.services.asked[0].seconds <= 3.5


@pytest.mark.requirement("F040")
async def test_a_withdrawal_needs_neither_lease_nor_kafka() -> None:
    async with rig() as door:
        door.world.end_lease()
        door.records.when_durable = never_durable

        async def confirmed(inner: Inner) -> Given:
            return given({"id": "w1", "status": "confirmed"}) if CHILD in inner.target else given({}, 404)

        door.services.reply = confirmed
        told = await door.ask("youth", "POST", "/subjects/{h}/withdrawals", body={"recipient": "service:police-1"})
        assert (told.status, told.json) == (200, {"id": "w1", "status": "confirmed"})
        assert door.records.sent == []
        nobody = await door.ask("youth", "POST", "/subjects/nothing/withdrawals", body={"recipient": "service:x"})
        assert (nobody.status, nobody.slug) == (404, "not-found")
        assert len(door.services.asked) == 2, "nobody's handle must cost the owner the same"
        assert door.services.asked[1].target.startswith("/subjects/")


async def test_me_is_one_decision_and_one_record_for_each_subject() -> None:
    world = World()
    for subject in (CHILD, OTHER):
        world.state(subject, grant(f"g-{subject[0]}", f"person:{GUARDIAN}", ["school"]))
    world.state(STRANGER, grant("old", f"person:{GUARDIAN}", ["school"], until=1))
    async with rig(world) as door:

        async def one(inner: Inner) -> Given:
            return given({"items": [item(f"of-{inner.subject}"[:5], "school"), item("no", "health")], "next": None})

        door.services.reply = one
        told = await door.ask("guardian", "GET", "/me/items?kind=entry")
        assert {found["subject"] for found in told.json["items"]} == {
            door.handle("guardian"),
            door.handle("guardian", OTHER),
        }
        for found in told.json["items"]:
            assert len(found["answer"]["items"]) == 1
        assert sorted(look.subject or "" for look in door.records.sent) == [CHILD, OTHER]
        assert {inner.target.partition("?")[2] for inner in door.services.asked} == {"kind=entry"}
        assert (await door.ask("guardian", "GET", "/me/contact")).status == 200
        assert door.services.asked[-1].target == "/me/contact"


async def test_me_leaves_out_a_subject_withdrawn_meanwhile() -> None:
    world = World()
    for subject in (CHILD, OTHER):
        world.state(subject, grant(f"g-{subject[0]}", f"person:{GUARDIAN}", ["school"]))
    async with rig(world) as door:

        async def withdrawn(inner: Inner) -> Given:
            if len(door.services.asked) == 2:
                door.world.state(OTHER)
            return given({"items": [], "next": None})

        door.services.reply = withdrawn
        told = await door.ask("guardian", "GET", "/me/items")
        assert [found["subject"] for found in told.json["items"]] == [door.handle("guardian")]
        assert [reason for _, reason in door.records.held] == ["decided-anew", "decided-anew"]


def two_children() -> World:
    world = World()
    for subject in (CHILD, OTHER):
        world.state(subject, grant(f"g-{subject[0]}", f"person:{GUARDIAN}", ["school"]))
    return world


async def test_me_turned_down_for_one_says_of_the_others_that_nothing_of_them_was_shown() -> None:
    async with rig(two_children()) as door:

        async def one_turns_down(inner: Inner) -> Given:
            if inner.subject == OTHER:
                return given({"type": "urn:samlogg:problem:invalid", "title": "No.", "status": 422}, 422)
            return given({"items": [item("a", "school")], "next": None})

        door.services.reply = one_turns_down
        assert (await door.ask("guardian", "GET", "/me/items")).status == 422
        assert sorted(door.records.held) == sorted((look.id, "turned-down") for look in door.records.sent)


async def test_me_takes_back_what_it_has_looked_at_when_the_gateway_ends() -> None:
    async with rig(two_children()) as door:

        async def one_never_answers(inner: Inner) -> Given:
            if inner.subject == OTHER:
                await asyncio.Event().wait()
            return given({"items": [item("a", "school")], "next": None})

        door.services.reply = one_never_answers
        waiting = asyncio.create_task(door.ask("guardian", "GET", "/me/items"))
        while door.happened.count("durable") < 2:
            await asyncio.sleep(0.001)
        for task in asyncio.all_tasks():
            if "run_asgi" in repr(task.get_coro()):
                task.cancel()
        assert (await waiting).status == 503
        assert sorted(record for record, _ in door.records.held) == sorted(look.id for look in door.records.sent)


async def test_me_comes_in_pages_whose_order_is_the_callers_own() -> None:
    world = World()
    subjects = [f"{n:08x}-1111-4111-8111-111111111111" for n in range(60)]
    for subject in subjects:
        world.state(subject, grant("p", "service:police-1", ["school"]), grant("s", "service:school-1", ["school"]))
    async with rig(world) as door:
        orders: dict[str, list[str]] = {}
        for who in ("police", "teacher"):
            first = await door.ask(who, "GET", "/me/items")
            rest = await door.ask(who, "GET", f"/me/items?after_subject={first.json['next']}")
            assert (len(first.json["items"]), len(rest.json["items"]), rest.json["next"]) == (50, 10, None)
            pages = [found["subject"] for found in first.json["items"] + rest.json["items"]]
            orders[who] = [door.handles.subject_of(TOKENS[who].audience, handle) or "" for handle in pages]
        assert sorted(orders["police"]) == sorted(orders["teacher"]) == subjects
        assert orders["police"] != orders["teacher"] != subjects
        foreign = await door.ask("teacher", "GET", "/me/items?after_subject=abc")
        assert (foreign.status, foreign.slug) == (400, "invalid-cursor")


async def test_refusals_beyond_the_limit_are_counted_instead_of_recorded() -> None:
    async with rig() as door:
        for _ in range(65):
            assert (await door.ask("police", "GET", "/subjects/{h}/items")).status == 404
        assert len(door.records.sent) == 60
        folded = door.refusals.due(0.0, everything=True)
        assert [(look.subject, look.count) for look in folded] == [(CHILD, 5)]


async def test_whom_a_caller_may_know_of_is_decided_and_needs_a_lease() -> None:
    world = World()
    request = {"id": "r1", "asker": "service:school-1", "asked": [GUARDIAN], "open": True}
    world.state(CHILD, grant("p", f"person:{GUARDIAN}", ["school"], kind="parental"), requests=[request])
    world.state(OTHER, grant("old", f"person:{GUARDIAN}", ["school"], until=1))
    async with rig(world) as door:
        assert door.door.relations(TOKENS["guardian"].actor) == [(CHILD, ["asked", "parental"])]
        assert door.door.relations(TOKENS["teacher"].actor) == [(CHILD, ["asker"])]
        assert door.door.relations(TOKENS["police"].actor) == []
        world.end_lease()
        with pytest.raises(Problem, match="freshness-unknown"):
            door.door.relations(TOKENS["guardian"].actor)


async def test_a_list_of_everybody_that_is_too_long_says_so_instead_of_leaving_some_out() -> None:
    world = World()
    for n in range(2001):
        world.state(f"{n:08x}-1111-4111-8111-111111111111", grant("g", "service:school-1", ["school"]))
    async with rig(world) as door:
        with pytest.raises(Problem, match="too-many"):
            door.door.relations(TOKENS["teacher"].actor)


async def test_a_query_that_the_owner_turns_down_is_told_and_is_no_empty_list() -> None:
    async with rig() as door:

        async def turned_down(_: Inner) -> Given:
            return given({"type": "urn:samlogg:problem:invalid", "title": "No.", "status": 422}, 422)

        door.services.reply = turned_down
        told = await door.ask("teacher", "GET", "/me/items?limit=9999")
        assert (told.status, told.json["type"]) == (422, "urn:samlogg:problem:invalid")
