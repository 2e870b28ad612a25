"""Requests made from each service's OpenAPI document, good and bad: the answers are those that it promises."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contracts.doors import Door, document, open_doors
from tests.contracts.messages import SERVICES
from tests.stack import Kafka, Postgres

# The services run in a thread of this process, and their clients draw random numbers while examples are made.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 5}
FEWER = {("directory", "put", "/districts/{district}"): 2, ("consent", "post", "/requests"): 6}
"""These bodies are large documents to make up."""
AWAY = {("gateway", "get", "/login"), ("gateway", "get", "/callback"), ("gateway", "get", "/me")}
"""These need the login provider or a lease, which are away here: 503 is what they promise then."""
OPERATIONS = [
    (service, method, path)
    for service in SERVICES
    for path, methods in document(service)["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def doors(postgres: Postgres, kafka: Kafka) -> Iterator[dict[str, Door]]:
    """All services, in a thread of their own."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_doors(postgres, kafka)) as opened:
        yield opened


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture(scope="module")
def answered() -> dict[str, set[int]]:
    """Which statuses each service gave, over the whole run."""
    return {service: set() for service in SERVICES}


def operation(service: str, method: str, path: str, door: Door) -> Any:
    """The operation, with path parameters that name something, or now and then nothing."""
    described = document(service)
    for found in described["paths"][path][method].get("parameters", []):
        if found["in"] == "path":
            found["schema"] = {"enum": [*door.known[found["name"]], str(uuid4())]}
    return schemathesis.openapi.from_dict(described)[path][method]


@pytest.mark.parametrize(("service", "method", "path"), OPERATIONS, ids=[" ".join(one) for one in OPERATIONS])
def test_a_door_answers_as_its_document_says(
    service: str,
    method: str,
    path: str,
    doors: dict[str, Door],
    session: requests.Session,
    answered: dict[str, set[int]],
) -> None:
    door = doors[service]
    found = operation(service, method, path, door)
    checks = CHECKS[1:] if (service, method, path) in AWAY else CHECKS
    described = found.definition.raw
    wrong_is_possible = bool(described.get("parameters") or described.get("requestBody"))
    for mode, count in EXAMPLES.items():
        if mode is GenerationMode.NEGATIVE and not wrong_is_possible:
            continue

        @given(case=found.as_strategy(generation_mode=mode))
        @settings(
            max_examples=FEWER.get((service, method, path), count), deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def asked(case: Any) -> None:
            answer = case.call(base_url=door.base, session=session, allow_redirects=False)
            case.validate_response(answer, checks=checks)
            answered[service].add(answer.status_code)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]
                assert answer.json()["status"] == answer.status_code

        asked()


def test_the_requests_got_further_than_the_first_check(answered: dict[str, set[int]]) -> None:
    """A run in which everything was refused would show nothing."""
    assert answered["consent"] >= {200, 404, 422}
    assert answered["directory"] >= {200, 422}
    assert answered["gateway"] >= {401, 422}
    assert answered["logbook"] >= {200, 404, 422}
    assert answered["notify"] >= {200, 422}
