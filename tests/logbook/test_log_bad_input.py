"""Bad input and bad luck: problem+json with a stable type, nothing changed, no input echoed."""

import json
import time
from typing import Any

import httpx
import pytest
from joserfc.jwk import OctKey

from chassis import permit as signing
from logbook.app import create_app
from logbook.settings import Settings
from tests.logbook.callers import (
    DISTRICT,
    INNER,
    NURSE,
    SCHOOL,
    Door,
    ahead,
    guides,
    problem,
    settings_for,
    soon,
    staff,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "Ola Nordmann 12345678910"
GOAL = "00000000-0000-4000-8000-000000000000"
OPENING = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "Fravær."}
MEASURE = {
    "goal": GOAL,
    "title": "Følge",
    "category": "school",
    "responsible": f"service:{NURSE}",
    "evaluate_on": ahead(),
}
SOON = soon()
MEETING: dict[str, Any] = {"title": "Møte", "category": "school", "meet_at": SOON}


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("log", OPENING | {"name": SECRET}), ("log", OPENING | {"level": "1"}), ("log", OPENING | {"level": True}),
        ("log", OPENING | {"level": -1}), ("log", OPENING | {"decision": " "}), ("log", {}), ("log", []),
        ("log", OPENING | {"guide": "../" + SECRET}), ("log", OPENING | {"service": SECRET}),
        ("log/level", {"level": 1.5, "decision": SECRET}), ("log/handover", {"to_service": SECRET}),
        ("log/handover", None), ("goals", {"title": SECRET * 20, "category": "school"}),
        ("goals", {"title": "x", "category": SECRET}), ("entries", {"category": "school", "text": SECRET * 500}),
        ("entries", {"category": "school", "text": {"deep": SECRET}}), ("entries", {"category": "school"}),
        ("highlights", {"category": "school", "text": "x", "at": SECRET}), ("measures", MEASURE | {"goal": SECRET}),
        ("measures", MEASURE | {"responsible": f"person:{SECRET}"}), ("measures", MEASURE | {"responsible": NURSE}),
        ("measures", MEASURE | {"evaluate_on": "i morgen"}), ("measures", MEASURE | {SECRET: 1}),
        *(("meetings", MEETING | {"meet_at": at}) for at in (SECRET, 1798761600, "1798761600", None, "2098-03-04",
          "2098-03-04T12:00:00", "2098-W10-2T12:00:00Z", "2098-02-30T12:00:00Z", "9999-12-31T23:59:59-01:00",
          SOON * 2)),
        ("meetings", MEETING | {"place": SECRET * 20}), ("meetings", MEETING | {"place": " "}),
        ("meetings", MEETING | {"title": ""}), ("meetings", MEETING | {"present": SECRET}),
        (f"meetings/{GOAL}/move", {"meet_at": SECRET}), (f"meetings/{GOAL}/call-off", {"why": SECRET}),
        (f"measures/{GOAL}/evaluation", {"outcome": SECRET, "text": "x"}),
        (f"measures/{GOAL}/start", {"evaluate_on": None}),
    ],
)  # fmt: skip
async def test_a_body_of_the_wrong_form_is_refused_without_an_echo(door: Door, rest: str, body: Any) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    answer = await door.ask("POST", rest, nurse, body, if_match='"x.y"')
    assert problem(answer) == (422, "invalid")
    assert SECRET not in answer.text
    assert (await door.get("items", nurse))["items"] == []
    assert len((await door.get("log", nurse))["levels"]) == 1


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b'{"category": "school", "text": "\\ud800"}', b"null", b""])
async def test_what_is_not_json_of_ours_is_refused(door: Door, raw: bytes) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    answer = await send_raw(door, "entries", raw)
    assert answer.status_code in (400, 422)
    assert problem(answer)[1] in ("invalid", "bad-request")
    assert (await door.get("items", nurse))["items"] == []


async def send_raw(door: Door, rest: str, raw: bytes) -> httpx.Response:
    """A signed request with exactly these bytes as its body."""
    nurse, path = staff(NURSE), f"/subjects/{door.subject}/{rest}"
    token = signing.sign(
        OctKey.import_key(INNER), audience="logbook", method="POST", path=path, body=raw, actor=nurse.actor,
        subject=door.subject, route="logbook.add-entry", permit=nurse.permit(door.subject, "contribute"), record=None,
        now=time.time(),
    )  # fmt: skip
    headers = {"samlogg-request": token, "content-type": "application/json"}
    return await door.client.post(path, content=raw, headers=headers)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "kind=secret", "due_by=now", "after=" + "a" * 300]
)
async def test_a_query_of_the_wrong_form_is_refused(door: Door, query: str) -> None:
    assert problem(await door.ask("GET", f"items?{query}", staff(NURSE))) == (422, "invalid")


async def test_a_signature_for_another_subject_path_or_body_opens_nothing(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    await door.entry(nurse, text=SECRET)
    recorded = (await door.ask("GET", "items", nurse)).request
    token = recorded.headers["samlogg-request"]
    for path in (f"/subjects/{GOAL}/items", f"/subjects/{door.subject}/log", f"/subjects/{door.subject}/items?limit=2"):
        answer = await door.client.get(path, headers={"samlogg-request": token})
        assert problem(answer) == (401, "not-signed")
    for wrong in ("", "x.y.z", token[:-2] + "xx"):
        answer = await door.client.get(f"/subjects/{door.subject}/items", headers={"samlogg-request": wrong})
        assert problem(answer) == (401, "not-signed")


async def test_a_database_that_is_away_is_unavailable_and_says_nothing_more(settings: Settings) -> None:
    away = settings_for("postgresql+asyncpg://u:p@127.0.0.1:9/none", settings.keys_database_url.get_secret_value())
    app = create_app(away, guides=guides(), bus=False)  # its lifespan is not run: the database is gone under its feet
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://logbook") as client:
        door = Door(client)
        for answer in (
            await door.ask("GET", "items", staff(SCHOOL)),
            await door.ask("POST", "entries", staff(SCHOOL), {"category": "school", "text": SECRET}),
        ):
            assert problem(answer) == (503, "unavailable")
            assert answer.headers["retry-after"]
            assert json.loads(answer.content).keys() == {"type", "title", "status"}
