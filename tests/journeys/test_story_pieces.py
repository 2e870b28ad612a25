"""The pieces the story is told with: synthetic people, checks, the narrator, and what is kept out of texts."""

from __future__ import annotations

import io
import json
import random
from datetime import date
from pathlib import Path

import httpx
import pytest

from story import door, people, world
from story.door import Caller
from story.narrative import Narrator, UnexpectedError, expect
from story.people import new_family

TODAY = date(2026, 11, 22)


def test_known_synthetic_numbers_are_valid_and_known_wrong_ones_are_not() -> None:
    assert people.valid("20914695016")
    assert not people.valid("01039012345") and not people.valid("12345678910") and not people.valid("2091469501x")


@pytest.mark.parametrize("seed", range(20))
def test_a_family_has_valid_synthetic_numbers_and_fitting_ages(seed: int) -> None:
    family = new_family(TODAY, random.Random(seed))
    for person, age in ((family.youth, 15), (family.mother, 43), (family.father, 45)):
        born = person.birth_date
        had_birthday = (TODAY.month, TODAY.day) >= (born.month, born.day)
        assert TODAY.year - born.year - (not had_birthday) == age
        assert people.valid(person.national_id)
        assert int(person.national_id[2:4]) == born.month + 80
    assert len({family.youth.national_id, family.mother.national_id, family.father.national_id}) == 3


def test_a_youth_does_not_turn_sixteen_while_the_story_is_told() -> None:
    for seed in range(200):
        born = new_family(date(2028, 2, 29), random.Random(seed)).youth.birth_date
        sixteen = date(born.year + 16, born.month, born.day)
        assert (sixteen - date(2028, 2, 29)).days > 30


async def test_a_step_that_is_not_as_it_must_be_is_told_and_counted() -> None:
    out = io.StringIO()
    narrator = Narrator(out)

    async def wrong() -> None:
        expect("the answer", 404, 200)

    async def right() -> None:
        narrator.say("all is well")

    assert await narrator.step("All is well", "first", right)
    assert not await narrator.step("Something is wrong", "second", wrong)
    assert "the answer: expected 404, and 200 came" in out.getvalue()
    result = json.loads(narrator.result_line())
    assert result["ok"] is False
    assert [(step["name"], step["ok"]) for step in result["steps"]] == [("first", True), ("second", False)]
    assert all(len(step["trace"]) == 32 for step in result["steps"])


async def test_a_step_that_breaks_says_where_and_not_what() -> None:
    out = io.StringIO()

    async def breaks() -> None:
        raise ValueError("Kari Testvik 20914695016")

    assert not await Narrator(out).step("Breaks", "breaks", breaks)
    assert "ValueError" in out.getvalue() and "Kari" not in out.getvalue() and "20914695016" not in out.getvalue()


def test_a_path_is_shown_without_what_stands_for_a_person() -> None:
    assert door.shape("/subjects/" + "a" * 43 + "/items/7?after=secret") == "/subjects/…/items/7"


def caller(*replies: httpx.Response | Exception) -> tuple[Caller, list[httpx.Request]]:
    waiting, asked = list(replies), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        reply = waiting.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    narrator = Narrator(io.StringIO())
    narrator.new_trace()
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Caller("the nurse", ("http://127.0.0.1:1",), narrator, http, csrf="token"), asked


async def test_a_write_that_has_to_wait_is_repeated_with_one_key() -> None:
    asker, asked = caller(httpx.Response(503), httpx.ConnectError("away"), httpx.Response(201, json={"id": "1"}))
    assert await asker.post("/subjects/h/entries", {"text": "t"}) == {"id": "1"}
    assert len(asked) == 3 and len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert all(request.headers["X-CSRF-Token"] == "token" for request in asked)


async def test_each_request_carries_the_trace_of_its_step() -> None:
    asker, asked = caller(httpx.Response(200, json={}), httpx.Response(200, json={}))
    await asker.get("/session")
    await asker.get("/session")
    traces = {request.headers["traceparent"].split("-")[1] for request in asked}
    assert traces == {asker.narrator.trace}


async def test_an_unexpected_answer_names_the_problem_and_nobody() -> None:
    refused = httpx.Response(
        403, json={"type": "urn:samlogg:problem:csrf"}, headers={"content-type": "application/problem+json"}
    )
    asker, _ = caller(refused)
    with pytest.raises(UnexpectedError, match=r"expected 200 or 201, and 403 \(urn:samlogg:problem:csrf\) came"):
        await asker.post("/subjects/" + "h" * 43 + "/entries", {"text": "secret"})


def test_a_world_that_lacks_something_says_what(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="gateways"):
        world.read({"oidc": {}, "police": {}})
