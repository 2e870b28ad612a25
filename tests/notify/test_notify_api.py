"""The doors of notify: the own contact point and the own notices, only as the gateway signs it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey
from opentelemetry.sdk.trace import TracerProvider

from chassis import permit
from chassis.health import Health
from chassis.http import make_app
from chassis.permit import signed_request
from chassis.routes import route_table
from notify.api import Parts, make_routes
from notify.handlers import take_notice
from notify.messages import NoticeDue
from tests.notify.conftest import INNER_KEY, Desk, Doors, person

CONTACT = {"email": "ung@eksempel.test", "language": "nb", "notices": "each"}


@pytest.fixture
def app(desk: Desk) -> FastAPI:
    made = make_app("notify", TracerProvider(), Health(), None)  # type: ignore[arg-type]
    signed = signed_request(INNER_KEY, "notify", lambda: datetime.now(UTC).timestamp())
    made.include_router(make_routes(Parts(desk.engine, desk.keys, b"h" * 32, signed, desk.clock.now, lambda: None)))
    return made


@pytest.fixture
async def doors(app: FastAPI) -> AsyncIterator[Doors]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notify") as client:
        yield Doors(client)


async def put(doors: Doors, who: str | None, body: object, **more: str) -> httpx.Response:
    return await doors.ask("PUT", "/me/contact", who, body, **more)


async def test_the_first_contact_point_needs_no_if_match_and_every_change_does(doors: Doors) -> None:
    who = person()
    empty = await doors.ask("GET", "/me/contact", who)
    assert empty.json() == {"email": None, "language": None, "notices": "each"}
    made = await put(doors, who, CONTACT)
    assert (made.status_code, made.json()) == (200, CONTACT)
    assert (await doors.ask("GET", "/me/contact", who)).headers["etag"] == made.headers["etag"]
    english = CONTACT | {"language": "en"}
    assert (await put(doors, who, english)).json()["type"] == "urn:samlogg:problem:if-match-needed"
    assert (await put(doors, who, english, if_match='"old"')).json()["type"] == "urn:samlogg:problem:stale"
    assert (await doors.ask("GET", "/me/contact", who)).json() == CONTACT
    changed = await put(doors, who, english, if_match=made.headers["etag"])
    assert changed.json() == english
    assert (await put(doors, who, CONTACT, if_match=made.headers["etag"])).status_code == 412


async def test_two_changes_at_once_have_one_winner(doors: Doors) -> None:
    who = person()
    made = await put(doors, who, CONTACT)
    answers = await asyncio.gather(
        *(put(doors, who, CONTACT | {"email": f"u{n}@eksempel.test"}, if_match=made.headers["etag"]) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_a_repeated_write_has_one_effect_and_shows_todays_state(doors: Doors) -> None:
    who = person()
    first = await put(doors, who, CONTACT, idempotency_key="one")
    await put(doors, who, CONTACT | {"language": "se"}, if_match=first.headers["etag"])
    again = await put(doors, who, CONTACT, idempotency_key="one")
    assert (again.status_code, again.json()["language"]) == (200, "se")
    other = await put(doors, who, CONTACT | {"email": "b@eksempel.test"}, idempotency_key="one")
    assert other.json()["type"] == "urn:samlogg:problem:idempotency-key-reused"


BAD: dict[str, object] = {
    "no address": CONTACT | {"email": "Kanari"},
    "a line break": CONTACT | {"email": "a@eksempel.test\r\nBcc: kanari@eksempel.test"},
    "two addresses": CONTACT | {"email": "a@eksempel.test, kanari@eksempel.test"},
    "a display name": CONTACT | {"email": "Kanari <a@eksempel.test>"},
    "too long": CONTACT | {"email": "a" * 250 + "@eksempel.test"},
    "an unknown language": CONTACT | {"language": "Kanari"},
    "an unknown field": CONTACT | {"Kanari": "Kanari"},
    "a missing field": {"email": "kanari@eksempel.test"},
    "a wrong type": CONTACT | {"email": ["kanari"]},
    "a list": ["kanari"],
}


@pytest.mark.parametrize("case", sorted(BAD))
async def test_bad_input_changes_nothing_and_is_not_echoed(doors: Doors, case: str) -> None:
    who = person()
    answer = await put(doors, who, BAD[case])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:samlogg:problem:invalid"
    assert "kanari" not in answer.text.lower()
    assert (await doors.ask("GET", "/me/contact", who)).json()["email"] is None


async def test_without_the_gateways_signature_there_is_no_answer(doors: Doors) -> None:
    for headers in ({}, {permit.HEADER: "a.b.c"}):
        answer = await doors.client.get("/me/contact", headers=headers)
        assert answer.status_code == 401
    forged = permit.sign(
        OctKey.import_key(b"x" * 32), audience="notify", method="GET", path="/me/contact", body=b"",
        actor=permit.Actor("person", str(uuid4())), subject=None, route="r", permit=None, record=None,
        now=datetime.now(UTC).timestamp(),
    )  # fmt: skip
    assert (await doors.client.get("/me/contact", headers={permit.HEADER: forged})).status_code == 401


@pytest.mark.parametrize("who", [None, f"machine:{uuid4()}", f"gateway:{uuid4()}"])
async def test_who_is_nobody_here_has_no_contact_point(doors: Doors, who: str | None) -> None:
    answer = await doors.ask("GET", "/me/contact", who, kind="person")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:samlogg:problem:not-matched")


async def take(desk: Desk, who: str, at: datetime) -> str:
    notice = str(uuid4())
    async with desk.engine.begin() as conn:
        due = NoticeDue(notice=notice, recipient=who, cause=str(uuid4()))
        await take_notice(conn, due, str(uuid4()), at)
    return notice


async def test_notices_come_newest_first_page_by_page_and_only_ones_own(desk: Desk, doors: Doors) -> None:
    who, other = person(), person()
    start = datetime.now(UTC)
    mine = [await take(desk, who, start + timedelta(seconds=n // 2)) for n in range(7)]
    await take(desk, other, start)
    seen: list[dict[str, Any]] = []
    path = "/me/notices?limit=3"
    while True:
        page = (await doors.ask("GET", path, who)).json()
        seen += page["items"]
        if page["next"] is None:
            break
        path = f"/me/notices?limit=3&after={page['next']}"
    assert sorted(item["id"] for item in seen) == sorted(mine)
    assert len(seen) == 7
    assert [item["at"] for item in seen] == sorted((item["at"] for item in seen), reverse=True)
    assert {item["state"] for item in seen} == {"no-contact"}


async def test_anothers_cursor_is_refused(desk: Desk, doors: Doors) -> None:
    who, other = person(), person()
    for _ in range(2):
        await take(desk, who, datetime.now(UTC))
    cursor = (await doors.ask("GET", "/me/notices?limit=1", who)).json()["next"]
    answer = await doors.ask("GET", f"/me/notices?after={cursor}", other)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:samlogg:problem:invalid-cursor")
    assert (await doors.ask("GET", "/me/notices?after=kanari", other)).status_code == 400


def test_every_route_says_how_the_gateway_must_decide_it(app: FastAPI) -> None:
    table = route_table(app, "notify")
    assert [(entry["id"], entry["basis"], entry["record"]) for entry in table] == [
        ("notify.read-contact", "self", False),
        ("notify.write-contact", "self", False),
        ("notify.read-notices", "self", False),
    ]
    assert "kanari" not in json.dumps(table)
