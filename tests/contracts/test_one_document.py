"""The gateway's OpenAPI document is all that somebody who writes an app needs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis

from chassis.openapi import merged
from tests.contracts.messages import FOLDERS, SERVICES

DOCUMENT = json.loads((FOLDERS["gateway"] / "openapi.json").read_text())
BEHIND = [one for one in SERVICES if one != "gateway"]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (found for name, found in value.items() if name == "$ref")
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_it_is_a_valid_document_whose_references_all_lead_somewhere() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    named = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= named
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("service", BEHIND)
def test_every_public_route_of_a_service_is_in_it_and_no_inner_one(service: str) -> None:
    routes = json.loads((FOLDERS[service] / "routes.json").read_text())
    assert routes
    for route in routes:
        assert route["method"].lower() in DOCUMENT["paths"][route["path"]]
        if route["me"]:
            assert "get" in DOCUMENT["paths"]["/me/" + route["path"].removeprefix("/subjects/{subject}/")]
    assert not [path for path in DOCUMENT["paths"] if path.startswith(("/inner", "/live", "/ready", "/metrics"))]


def test_a_subject_is_a_handle_and_everything_but_the_public_needs_a_login() -> None:
    for path, method, operation in operations():
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "subject":
                assert "format" not in parameter["schema"], path
        public = operation["x-samlogg"]["basis"] == "public"
        assert (operation["security"] == []) == public, path
        csrf = [one for one in operation.get("parameters", []) if one["name"] == "X-CSRF-Token"]
        assert bool(csrf) == (method != "get" and not public), path
        assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_schemas_of_two_services_with_one_name_stay_apart_and_unused_ones_are_left_out() -> None:
    def one(path: str, kind: str, public: dict[str, Any]) -> dict[str, Any]:
        schema = {"$ref": "#/components/schemas/View"}
        answer = {"200": {"content": {"application/json": {"schema": schema}}}}
        return {
            "paths": {path: {"get": {"operationId": "look", "responses": answer, **public}}},
            "components": {"schemas": {"View": {"type": kind}, "Unused": {"type": "null"}}},
        }  # fmt: skip

    public = {"x-samlogg": {"basis": "public"}}
    found = merged({"paths": {}}, {"a": one("/a", "string", public), "b": one("/b", "object", public)})
    assert found["components"]["schemas"] == {"AView": {"type": "string"}, "BView": {"type": "object"}}
    assert list(references(found["paths"])) == ["#/components/schemas/AView", "#/components/schemas/BView"]
    assert merged({"paths": {}}, {"a": one("/a", "string", {})})["paths"] == {}
