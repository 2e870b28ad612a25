"""Whatever comes through the door, well or badly formed: never a fault of ours, always problem+json."""

import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings

from chassis.permit import Actor
from directory.app import create_app
from tests import stack
from tests.directory.conftest import FIRST_CODE, Gateway, read_document, settings_on

OPERATIONS = [
    ("GET", "/clock"), ("PUT", "/clock"),
    ("GET", "/services"), ("GET", "/services/{service}"), ("GET", "/guides/{district}"),
    ("GET", "/districts/{district}"), ("PUT", "/districts/{district}"),
    ("POST", "/invitations/redeem"), ("GET", "/staff/{staff}"),
    ("POST", "/staff/{staff}/invitation"), ("POST", "/staff/{staff}/deactivation"),
    ("POST", "/agencies/{agency}/attachments"), ("GET", "/attachments/{attachment}"),
    ("POST", "/attachments/{attachment}/detachment"), ("GET", "/attachments/{attachment}/credential"),
]  # fmt: skip


class Client:
    """Asks the door from plain functions, as the generator of requests needs it."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self.app, self._portal = app, portal
        self.actor = Actor("staff", None, assurance="high", login="ab" * 32)

    def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        """One request, signed for the actor."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://directory") as client:
                return await client.request(method, url, auth=Gateway(self.actor), **more)

        return self._portal.call(asked)


@pytest.fixture(scope="module")
def client(postgres: stack.Postgres) -> Iterator[Client]:
    """The door for an administrator, with the demo district behind it."""
    app = create_app(settings_on(postgres.fresh_database("directory")), bus=False)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        made = Client(app, portal)
        first = made.ask("POST", "/invitations/redeem", json={"code": FIRST_CODE}).json()["staff"]
        made.actor = Actor("staff", first, (), "admin", None, "high")
        assert made.ask("PUT", "/districts/gamlebyen", json=read_document()).status_code == 200
        yield made


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(one) for one in OPERATIONS])
def test_no_request_makes_a_fault_of_ours(client: Client, method: str, path: str) -> None:
    described = schemathesis.openapi.from_dict(client.app.openapi())
    operation = described[path][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=3 if method == "PUT" else 12, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def asked(case: Any) -> None:
        given_ = case.as_transport_kwargs(base_url="http://directory")
        named = {name: given_.get(name) for name in ("params", "headers", "json", "data")}
        sent = {name: value for name, value in named.items() if value is not None}
        _no_fault(client.ask(method, given_["url"], **sent))

    asked()


def _no_fault(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"].startswith("urn:samlogg:problem:")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in the document where something can be put instead of what is there."""
    for name in value if isinstance(value, dict) else range(len(value)):
        yield value, name
        if isinstance(value[name], dict | list):
            yield from _places(value[name])


ODD = [
    None, True, 0, -1, 10**30, 1.5, "", " ", "x" * 5000, "nul\x00nul", "new\nline", "\u202e", "912 34 567", "a@b.no",
    [], {}, [None], {"nb": "\x00"}, "gamlebyen", "2026-02-30", "../../etc",
]  # fmt: skip


def test_a_document_with_something_odd_anywhere_makes_no_fault_of_ours(
    client: Client, document: dict[str, Any]
) -> None:
    chance = random.Random(7)
    places = list(_places(document))
    for container, name in chance.sample(places, 60):
        if name not in container if isinstance(container, dict) else name >= len(container):
            continue
        kept = container[name]
        container[name] = chance.choice(ODD)
        _no_fault(client.ask("PUT", "/districts/gamlebyen", json=document))
        container[name] = kept
    assert client.ask("PUT", "/districts/gamlebyen", json=document).status_code == 200


def test_every_operation_of_the_door_is_asked(client: Client) -> None:
    paths = client.app.openapi()["paths"]
    assert sorted((method.upper(), path) for path, ones in paths.items() for method in ones) == sorted(OPERATIONS)
