"""One error shape, without any of the input in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, ConfigDict, Field

from chassis import http
from chassis.health import Health
from chassis.problems import Problem

CANARY = "Kanarifugl Hemmelig 12345"


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=5)
    number: int = 0


def app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    made = http.make_app("test", TracerProvider(), Health(), lifespan)

    @made.post("/things")
    async def things(body: Body) -> dict[str, str]:
        if body.text == "own":
            raise Problem(409, "taken", "This is taken.", headers={"Retry-After": "3"}, since="today")
        raise RuntimeError(CANARY)

    return made


def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def post(content: str) -> httpx.Response:
    async with client() as asked:
        return await asked.post("/things", content=content, headers={"content-type": "application/json"})


async def test_malformed_unknown_wrong_and_long_input_is_told_without_being_repeated() -> None:
    for content in (
        f'{{"text": "{CANARY}"', f'{{"text": "{CANARY}"}}', f'{{"text": "a", "{CANARY}": 1}}',
        f'{{"text": "a", "number": "{CANARY}"}}', f'"{CANARY}"',
    ):  # fmt: skip
        answer = await post(content)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:samlogg:problem:invalid"
        assert "Kanarifugl" not in answer.text


async def test_a_field_is_named_and_a_name_that_the_caller_made_up_is_not() -> None:
    answer = await post(f'{{"text": "far too long", "number": "one", "{CANARY}": 1}}')
    assert answer.json()["errors"] == [
        {"where": "body/text", "what": "string_too_long"},
        {"where": "body/number", "what": "int_parsing"},
        {"where": "body", "what": "extra_forbidden"},
    ]


async def test_an_own_problem_keeps_its_type_headers_and_members() -> None:
    answer = await post('{"text": "own"}')
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "3")
    assert answer.json() == {
        "type": "urn:samlogg:problem:taken", "title": "This is taken.", "status": 409, "since": "today",
    }  # fmt: skip


async def test_an_unexpected_error_tells_nothing() -> None:
    answer = await post('{"text": "a"}')
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:samlogg:problem:internal"
    assert "Kanarifugl" not in answer.text


async def test_an_unknown_path_is_a_problem_too() -> None:
    async with client() as asked:
        answer = await asked.get(f"/{CANARY}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:samlogg:problem:not-found")
    assert "Kanarifugl" not in answer.text
