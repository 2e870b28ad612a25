"""Writes a service's `contract/` from its code: `python -m chassis.contract consent logbook` (`make contracts`).

A service offers `app.create_app(settings)` with `app.state.broker`, `settings.Settings`, and in `messages` PUBLISHED
(topic, type, model whose schema holds examples, the golden one first) and CONSUMED (topic, type, slice). A package
without an `app` has only events. `app.state.in_front_of` names the services whose public routes an app also reaches
through this one.
"""

import argparse
import base64
import hashlib
import importlib
import importlib.util
import json
import logging
import re
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from faststream.specification.asyncapi import AsyncAPI
from pydantic import SecretBytes, TypeAdapter
from pydantic_settings import BaseSettings

from chassis.openapi import merged
from chassis.routes import route_table


def placeholders(kind: type[BaseSettings]) -> dict[str, Any]:
    """A value for every setting that must be given: enough to build the app, never enough to start it."""
    given: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if field.is_required():
            given[name] = _key(name) if field.annotation is SecretBytes else _text(name)
    return given


def _key(name: str) -> str:
    """Another key for each name: the gateway refuses to use one twice."""
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def _text(name: str) -> str:
    if name.endswith("database_url"):
        return "postgresql+asyncpg://contract@127.0.0.1:1/contract"
    if name.endswith("from"):
        return "log@contract.example"
    return "http://127.0.0.1:1" if name.endswith(("url", "urls")) or name.startswith("issuer") else f"contract-{name}"


def contract(service: str, services: Path = Path("services")) -> dict[str, Any]:
    """File name -> content of everything in the service's contract folder. services: where the other contracts are."""
    files = events(importlib.import_module(f"{service}.messages").PUBLISHED)
    if importlib.util.find_spec(f"{service}.app") is None:
        return files
    app = built(service, services)
    behind = {
        name: json.loads((services / name / "contract" / "openapi.json").read_text())
        for name in getattr(app.state, "in_front_of", ())
    }
    files["openapi.json"] = merged(app.openapi(), behind) if behind else app.openapi()
    files["routes.json"] = route_table(app, service)
    files["asyncapi.json"] = asyncapi(service, app)
    return files


def built(service: str, services: Path = Path("services")) -> FastAPI:
    """The service's app with placeholders for settings: it opens nothing before it is started."""
    settings = importlib.import_module(f"{service}.settings").Settings
    given = placeholders(settings) | {"mode": "synthetic"}
    if "contracts" in settings.model_fields:
        given["contracts"] = services
    app: FastAPI = importlib.import_module(f"{service}.app").create_app(settings.model_validate(given))
    return app


def events(published: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Schema and examples of every type, the second as `<type>.example-2.json`. ValueError for one that fails."""
    files: dict[str, Any] = {}
    for kind, model in (each for types in published.values() for each in types.items()):
        schema = model.model_json_schema(by_alias=True)
        for number, example in enumerate(schema.pop("examples"), 1):
            model.model_validate(example)
            files[f"{kind}.example.json" if number == 1 else f"{kind}.example-{number}.json"] = example
        files[f"{kind}.schema.json"] = schema
    return files


def asyncapi(service: str, app: FastAPI) -> dict[str, Any]:
    """AsyncAPI 3 of the broker, and what is read beside it by plain clients, from the slices in CONSUMED."""
    specification = AsyncAPI(app.state.broker, title=f"Samlogg {service}", version="1", schema_version="3.0.0")
    document: dict[str, Any] = specification.to_specification().to_jsonable()
    heard = {topic for one in app.state.broker.subscribers for topic in one.topic_names}
    consumed = importlib.import_module(f"{service}.messages").CONSUMED
    for topic, types in consumed.items():
        if topic not in heard:
            _add_reader(document, topic, types)
    for channel in document["channels"].values():
        if names := re.findall(r"{(\w+)}", channel["address"]):
            channel["parameters"] = {name: {} for name in names}
    return document


def _add_reader(document: dict[str, Any], topic: str, types: dict[str, Any]) -> None:
    name, messages = f"{topic}:read", {}
    for kind, slice_ in types.items():
        key = f"{name}:{kind}"
        messages[kind] = {"$ref": f"#/components/messages/{key}"}
        payload = {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": _schema(slice_)}
        document["components"].setdefault("messages", {})[key] = {"title": kind, "name": kind, "payload": payload}
    document["channels"][name] = {
        "address": topic, "messages": messages, "servers": [{"$ref": "#/servers/development"}],
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.4.0"}},
    }  # fmt: skip
    document["operations"][name] = {
        "action": "receive", "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{kind}"} for kind in types],
    }  # fmt: skip


def _schema(slice_: Any) -> dict[str, Any]:
    if isinstance(slice_, type) and issubclass(slice_, msgspec.Struct):
        return msgspec.json.schema(slice_)
    return TypeAdapter(slice_).json_schema(by_alias=True)


def text(content: Any) -> str:
    """The content as it is committed."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(service: str, folder: Path) -> int:
    """Write the contract and drop files that no longer belong to it; returns how many files it has."""
    files = contract(service)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (folder / name).write_text(text(content))
    return len(files)


def main() -> None:
    """Write the contracts of the services named, under `services/`."""
    parser = argparse.ArgumentParser(description="Write contracts from the code")
    parser.add_argument("services", nargs="+")
    parser.add_argument("--into", type=Path, default=Path("services"))
    given = parser.parse_args()
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # several services in one process
    for service in given.services:
        count = write(service, given.into / service / "contract")
        print(f"{service}: {count} files")  # noqa: T201 -- a command line tool


if __name__ == "__main__":
    main()
