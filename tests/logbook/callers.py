"""Who asks the logbook in its tests, and how the gateway would have signed it for them."""

import base64
import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from joserfc.jwk import OctKey

from chassis import permit as signing
from chassis.clock import rfc3339
from chassis.permit import Action, Actor, Cell, Kept, Permit
from logbook.model import Guide, Guides
from logbook.settings import Settings

INNER = b"i" * 32
DISTRICT = "gamlebyen"
SCHOOL, NURSE, POLICE, WELFARE = "gamlebyen-school", "school-health", "police-prevention", "child-welfare"
_ITEM = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
EVERYTHING = ("family", "health", "participants", "school")


def settings_for(content: str, keys: str, **more: Any) -> Settings:
    """Settings of a logbook on these databases."""

    def key(letter: bytes) -> str:
        return base64.b64encode(letter * 32).decode()

    given: dict[str, Any] = {
        "mode": "synthetic", "database_url": content, "keys_database_url": keys, "kafka_bootstrap": "127.0.0.1:1",
        "kafka_user": "logbook", "kafka_password": "-", "inner_key": key(b"i"), "hash_key": key(b"h"),
        "key_encryption_key": key(b"w"), "pool_size": 5,
    }  # fmt: skip
    return Settings(**(given | more))


def guides() -> Guides:
    """A district with four levels that makes logs from level 1, and one with three that makes them from level 2."""
    found = Guides()
    found.learn(Guide(DISTRICT, 4, (0, 1, 2, 3), 1, ("stafettlogg",)))
    found.learn(Guide("three-levels", 1, (0, 1, 2), 2, ("stafettlogg",)))
    return found


def ahead(days: int = 30) -> str:
    """A date that lies ahead."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def soon(days: float = 7) -> str:
    """A moment that lies ahead."""
    return rfc3339(datetime.now(UTC) + timedelta(days=days))


def day(text: str) -> date:
    return date.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller with the cells that the gateway would put into the permit."""

    actor: Actor
    categories: tuple[str, ...]
    back: int | None = None
    grant: str = field(default_factory=lambda: str(uuid4()))
    masked: bool = False
    kept: Kept | None = None

    def with_only(self, *categories: str, back: int | None = None) -> "Caller":
        """The same person under another permit."""
        return Caller(self.actor, categories, back, self.grant)

    def without(self, *categories: str, items: tuple[str, ...] = ()) -> "Caller":
        """The same person, from whom this is kept."""
        return replace(self, kept=Kept(categories, items, self.actor.id or ""))

    def permit(self, subject: str, action: Action) -> Permit:
        cells = tuple(Cell(category, self.grant, self.back) for category in self.categories)
        return Permit(subject, action, "follow-up", cells, self.masked, self.kept)


def staff(service: str, *categories: str, more: tuple[str, ...] = ()) -> Caller:
    """Somebody who works for `service` (and for `more`)."""
    name = f"staff-{service}"
    return Caller(Actor("staff", name, (service, *more), "professional", "a", "high"), categories or EVERYTHING)


def person(person_id: str, *categories: str) -> Caller:
    """A youth or a guardian."""
    return Caller(Actor("person", person_id, (), None, None, "high"), categories or EVERYTHING)


def machine(service: str, *categories: str) -> Caller:
    return Caller(Actor("machine", "attachment-1", (service,), None, "a", "high"), categories or EVERYTHING)


class Door:
    """The logbook's HTTP door with the gateway's signature. `subject` is whom this test is about."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.subject = str(uuid4())

    async def ask(
        self, method: str, rest: str, caller: Caller, body: Any = None, *, action: Action | None = None,
        key: str | None = None, if_match: str | None = None, subject: str | None = None, record: str | None = None,
    ) -> httpx.Response:  # fmt: skip
        """One signed request; `rest` is the path after /subjects/<subject>/. record: the id of its access record."""
        about = subject or self.subject
        path = f"/subjects/{about}/{rest}"
        content = b"" if body is None else json.dumps(body).encode()
        chosen: Action = action or ("read" if method == "GET" else "contribute")
        token = signing.sign(
            OctKey.import_key(INNER), audience="logbook", method=method, path=path, body=content, actor=caller.actor,
            subject=about, route=_route(method, rest), permit=caller.permit(about, chosen), record=record,
            now=time.time(),
        )  # fmt: skip
        headers = {"samlogg-request": token, "content-type": "application/json"}
        headers |= {"idempotency-key": key} if key else {}
        headers |= {"if-match": if_match} if if_match else {}
        return await self.client.request(method, path, content=content, headers=headers)

    async def get(self, rest: str, caller: Caller) -> Any:
        """The answer's JSON; it must be 200."""
        answer = await self.ask("GET", rest, caller)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, rest: str, caller: Caller, body: Any = None, **more: Any) -> Any:
        """The answer's JSON; it must be 200 or 201."""
        answer = await self.ask("POST", rest, caller, body, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def open(self, caller: Caller, level: int = 1, **more: Any) -> Any:
        """Open the log of this test's subject."""
        body = {"plan_type": "stafettlogg", "level": level, "guide": DISTRICT, "decision": "Vi vil hjelpe sammen."}
        return await self.post("log", caller, body | more)

    async def goal(self, caller: Caller, category: str = "school", title: str = "Flere dager på skolen") -> Any:
        return await self.post("goals", caller, {"title": title, "category": category})

    async def measure(self, caller: Caller, goal: str, category: str = "school", **more: Any) -> Any:
        """Plan a measure for which the caller's own service is responsible."""
        body = {
            "goal": goal, "title": "Trygg lærer ved porten", "category": category,
            "responsible": f"service:{caller.actor.services[0]}", "evaluate_on": ahead(),
        }  # fmt: skip
        return await self.post("measures", caller, body | more)

    async def meeting(self, caller: Caller, category: str = "school", **more: Any) -> Any:
        """Plan a meeting in a week."""
        body = {"title": "Hvordan går det på skolen?", "category": category, "meet_at": soon(), "place": "Rom 12"}
        return await self.post("meetings", caller, body | more)

    async def tag(self, item: str, caller: Caller) -> str:
        """The entity tag of an item, as this caller reads it."""
        answer = await self.ask("GET", f"items/{item}", caller)
        assert answer.status_code == 200, answer.text
        return str(answer.headers["etag"])

    async def everything(self, reader: Caller, *items: str) -> list[tuple[int, dict[str, str], bytes]]:
        """Every byte and header that the reader gets from every route that reads."""
        lists = ("items", "items?limit=1", "items?kind=measure", "items?kind=goal&limit=1", "items?kind=meeting")
        paths = ["log", *lists, f"items?due_by={ahead(90)}", *(f"items/{each}" for each in items)]
        answers = [await self.ask("GET", path, reader) for path in paths]
        return [(answer.status_code, dict(answer.headers), answer.content) for answer in answers]

    async def entry(self, caller: Caller, category: str = "school", text: str = "Avtalt nytt møte.") -> Any:
        return await self.post("entries", caller, {"category": category, "text": text})


def _route(method: str, rest: str) -> str:
    """The same for every item, as the ids of routes are."""
    return f"{method} {_ITEM.sub('{item}', rest.split('?')[0])}"


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and the stable end of the problem's type."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:samlogg:problem:")
