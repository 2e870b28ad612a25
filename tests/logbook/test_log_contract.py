"""What the logbook offers and listens to, as its contract says it."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chassis import contract
from chassis.routes import route_table
from logbook import messages
from logbook.app import create_app
from tests.logbook.callers import NURSE, Door, ahead, settings_for, staff


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    return contract.contract("logbook")


def test_every_route_to_content_is_decided_under_a_grant_and_recorded(files: dict[str, Any]) -> None:
    for entry in files["routes.json"]:
        assert entry["path"].startswith("/subjects/{subject}/")
        assert (entry["basis"], entry["lease"], entry["record"]) == ("grant", "required", True)
        assert entry["action"] == ("read" if entry["method"] == "GET" else "contribute")
        if entry["category"].startswith("body:"):
            operation = files["openapi.json"]["paths"][entry["path"]]["post"]
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
            assert entry["category"][5:] in files["openapi.json"]["components"]["schemas"][name]["required"]


def test_every_published_example_fits_its_schema_and_its_type(files: dict[str, Any]) -> None:
    for kind, form in messages.PUBLISHED[messages.TOPIC].items():
        example = files[f"{kind}.example.json"]
        Draft202012Validator(files[f"{kind}.schema.json"]).validate(example)
        assert json.loads(form.model_validate(example).model_dump_json()) == example


def test_every_body_refuses_what_it_does_not_know(files: dict[str, Any]) -> None:
    schemas = files["openapi.json"]["components"]["schemas"]
    asked = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path in files["openapi.json"]["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    names = {str(found).split("/schemas/")[1].split("'")[0] for found in asked}
    assert len(names) == 14
    assert all(schemas[name]["additionalProperties"] is False for name in names)


def test_every_route_of_the_table_is_the_logbooks() -> None:
    app = create_app(settings_for("postgresql+asyncpg://a@127.0.0.1:1/b", "postgresql+asyncpg://a@127.0.0.1:1/c"))
    assert {entry["service"] for entry in route_table(app, "logbook")} == {"logbook"}


@pytest.mark.asyncio(loop_scope="session")
async def test_what_the_doors_answer_fits_the_published_form(door: Door, files: dict[str, Any]) -> None:
    document = files["openapi.json"]

    def check(path: str, method: str, status: int, body: Any) -> None:
        answers = document["paths"][path][method]["responses"]
        found = answers.get(str(status), answers["default"])
        [content] = found["content"].values()
        Draft202012Validator(content["schema"] | {"components": document["components"]}).validate(body)

    nurse = staff(NURSE)
    check("/subjects/{subject}/log", "post", 201, await door.open(nurse))
    goal = await door.goal(nurse)
    check("/subjects/{subject}/goals", "post", 201, goal)
    measure = await door.measure(nurse, goal["id"])
    check("/subjects/{subject}/measures", "post", 201, measure)
    tag = (await door.ask("GET", f"items/{measure['id']}", nurse)).headers["etag"]
    said = {"outcome": "continue", "text": "Ja.", "evaluate_on": ahead()}
    changed = await door.post(f"measures/{measure['id']}/evaluation", nurse, said, if_match=tag)
    check("/subjects/{subject}/measures/{item}/evaluation", "post", 200, changed)
    check("/subjects/{subject}/entries", "post", 201, await door.entry(nurse))
    meeting = await door.meeting(nurse)
    check("/subjects/{subject}/meetings", "post", 201, meeting)
    off = await door.post(f"meetings/{meeting['id']}/call-off", nurse, if_match=await door.tag(meeting["id"], nurse))
    check("/subjects/{subject}/meetings/{item}/call-off", "post", 200, off)
    await door.meeting(nurse)
    check("/subjects/{subject}/log", "get", 200, await door.get("log", nurse))
    check("/subjects/{subject}/items", "get", 200, await door.get("items?limit=2", nurse))
    missing = await door.ask("GET", f"items/{door.subject}", nurse)
    check("/subjects/{subject}/items/{item}", "get", 404, missing.json())
