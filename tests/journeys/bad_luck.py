"""Everything bad that a caller can send: each carries a canary, and each must be refused without an echo."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from story.cast import DISTRICT, POLICE_AGENCY, Story
from story.steps.consent import WANTED

REFUSED = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428)


class Plants(Protocol):
    """Whoever makes canaries."""

    def word(self, where: str) -> str:
        """A word."""

    def number(self, where: str, born: Any) -> str:
        """A national id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `body`: bytes are sent as they are, anything else as JSON. `answers`: statuses it may have."""

    what: str
    who: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    answers: tuple[int, ...] = REFUSED


def everything_bad(story: Story, plants: Plants, doors: Mapping[str, str]) -> Iterator[Asked]:
    """All of it."""
    yield from bad_bodies(story, plants)
    yield from bad_requests(story, plants)
    yield from bad_addresses(story, plants)
    yield from bad_headers(story, plants)
    yield from past_the_gateway(doors, plants)


def bad_bodies(story: Story, plants: Plants) -> Iterator[Asked]:
    """Bodies for the log."""
    word, entries = plants.word, story.subject("nurse", "entries")
    good = {"category": "school", "text": "x"}
    bodies: dict[str, Any] = {
        "malformed JSON": f'{{"category": "school", "text": "{word("malformed JSON")}'.encode(),
        "no JSON": word("no JSON").encode(),
        "a field that is unknown": {**good, word("an unknown field's name"): word("an unknown field")},
        "over-long text": {**good, "text": word("over-long text") * 400},
        "an object for a text": {**good, "text": {word("a member's name"): word("an object for a text")}},
        "a list for a text": {**good, "text": [word("a list for a text")]},
        "an unknown category": {**good, "category": word("an unknown category")},
        "a category that is a list": {**good, "category": [word("a category in a list")]},
        "a list for the whole": [word("a list for the whole")],
        "a text for the whole": word("a text for the whole"),
    }
    for what, body in bodies.items():
        yield Asked(what, "nurse", "POST", entries, body)
    opening = {"plan_type": word("a plan type"), "level": 1, "guide": word("a guide"), "decision": word("refused")}
    yield Asked("a log of another plan", "nurse", "POST", story.subject("nurse", "log"), opening)
    measure = {**good, "title": word("a refused title"), "goal": word("a goal's id"), "responsible": word("who")}
    yield Asked("a measure for nobody", "nurse", "POST", story.subject("nurse", "measures"), measure)
    yield Asked("a category of others", "teacher", "POST", story.subject("nurse", "entries"),
                {"category": "health", "text": word("an entry with another's handle")})  # fmt: skip
    to = {"to_service": word("a service that is none")}
    yield Asked("a handover to nobody", "nurse", "POST", story.subject("nurse", "log/handover"), to)


def bad_requests(story: Story, plants: Plants) -> Iterator[Asked]:
    """Bodies for the other doors."""
    word, youth = plants.word, story.family.youth
    born = youth.birth_date
    number = plants.number("a number in a name's place", born)
    body = {
        **youth.asked_as(), "guardians": [], "responsibility": "felles", "level": 1, "why": word("a refused why"),
        "purpose": "follow-up", "cells": list(WANTED), "until": (story.today + timedelta(days=9)).isoformat(),
    }  # fmt: skip
    worse: dict[str, dict[str, Any]] = {
        "a word for a national id": {"national_id": word("a word for a national id")},
        "a national id with a wrong digit": {"national_id": number[:-1] + str((int(number[-1]) + 1) % 10)},
        "a national id that is a list": {"national_id": [number]},
        "a birth date that is none": {"birth_date": word("a birth date")},
        "a responsibility that is none": {"responsibility": word("a responsibility")},
        "a purpose that is none": {"purpose": word("a purpose")},
        "cells that are none": {"cells": [word("a cell")]},
        "a service that is none": {"cells": [{**WANTED[0], "service": word("an asked service")}]},
    }
    for what, change in worse.items():
        yield Asked(what, "nurse", "POST", "/requests", {**body, **change})
    recipient = {"recipient": f"service:{word('whom is withdrawn from')}"}
    yield Asked("a withdrawal from nobody", "youth", "POST", story.subject("youth", "withdrawals"), recipient)
    answer = {"cells": [], "text_version": word("a text's version"), "language": word("a language")}
    yield Asked("an answer to nothing", "youth", "POST", story.subject("youth", f"requests/{uuid.uuid4()}/answer"),
                answer)  # fmt: skip
    yield Asked("an address that is none", "youth", "PUT", "/me/contact",
                {"email": word("an address without a domain"), "language": "nb"})  # fmt: skip
    yield Asked("a district that is none", "admin", "PUT", f"/districts/{DISTRICT}", {word("a part"): word("of it")})
    key = {"services": [word("an attached service")], "public_key": {"kty": word("a key's kind")}, "ports": ["listen"]}
    yield Asked("a key that is none", "admin", "POST", f"/agencies/{POLICE_AGENCY}/attachments", key)


def bad_addresses(story: Story, plants: Plants) -> Iterator[Asked]:
    """Paths and queries. A query that a route does not know may be passed over: 200."""
    word, born = plants.word, story.family.youth.birth_date
    for who in ("nurse", "youth", "police"):
        subject = story.handles[who]
        number = plants.number(f"a number in a path by the {who}", born)
        yield Asked("a number for a handle", who, "GET", f"/subjects/{number}/items")
        yield Asked("a word for an item", who, "GET", f"/subjects/{subject}/items/{word('an item in a path')}")
        yield Asked("a path that is none", who, "GET", f"/{word('a path')}/{number}")
        names = {name: name for name in ("after", "limit", "kind", "category")}
        for name, said in {**names, word("a query's name"): "another name"}.items():
            query = f"{name}={word(f'{said} in a query')}&pid={plants.number(f'a number in a query by {who}', born)}"
            yield Asked(f"{said} in a query", who, "GET", f"/subjects/{subject}/items?{query}", answers=(200, *REFUSED))
    q = f"/services?q={word('a search')}&district={DISTRICT}"
    yield Asked("a search for a canary", "youth", "GET", q, answers=(200,))
    yield Asked("a district in a path", "admin", "GET", f"/districts/{word('a district in a path')}")
    yield Asked("a staff member in a path", "admin", "GET", f"/staff/{word('a staff id in a path')}")
    yield Asked("a method", "nurse", word("a method").upper(), story.subject("nurse", "items"))


def bad_headers(story: Story, plants: Plants) -> Iterator[Asked]:
    """Headers. Most are passed over: the answer is what it would have been."""
    word, items = plants.word, story.subject("nurse", "items")
    open_to_all = (200, *REFUSED)
    for name in ("User-Agent", "baggage", "tracestate", "traceparent", "Accept-Language", "X-Request-Id", "Referer",
                 "X-Forwarded-For", "Forwarded", "Host", "If-None-Match", "Accept", "Origin", "From"):  # fmt: skip
        value = f"who={word(name)}" if name in {"baggage", "tracestate"} else word(name)
        yield Asked(f"the header {name}", "nurse", "GET", items, headers={name: value}, answers=open_to_all)
    claims = base64.urlsafe_b64encode(json.dumps({"sub": word("an unsigned token")}).encode()).decode().rstrip("=")
    for value in (f"Bearer {word('a bearer token')}", f"Basic {word('basic')}", f"Bearer e30.{claims}.e30"):
        yield Asked("a token that is none", "police", "GET", items, headers={"Authorization": value})
    entry = {"category": "school", "text": word("a text under a repeated key")}
    key = {"Idempotency-Key": word("an idempotency key")}
    path = story.subject("nurse", "entries")
    yield Asked("a key of one's own", "nurse", "POST", path, entry, key, answers=(201, 400, 422))
    yield Asked("the key again", "nurse", "POST", path, {**entry, "text": word("another text")}, key)
    yield Asked("a CSRF token", "nurse", "POST", path, entry, {"X-CSRF-Token": word("a CSRF token")})
    measure = story.subject("nurse", f"measures/{story.items['measure']}/evaluation")
    stale = {"outcome": "end", "text": word("an evaluation that comes late")}
    yield Asked("a stale tag", "nurse", "POST", measure, stale, {"If-Match": f'"{word("a tag")}"'})


def past_the_gateway(doors: Mapping[str, str], plants: Plants) -> Iterator[Asked]:
    """The services' own doors (service -> address), without a signed request."""
    word = plants.word
    for service, address in doors.items():
        path = f"/subjects/{word(f'a path of {service}')}/items?q={word(f'a query of {service}')}"
        signed = {"Samlogg-Request": word("a signature")}
        yield Asked(f"{service}'s own door", "nurse", "GET", path, headers=signed, address=address)
        yield Asked(f"{service}'s inner door", "nurse", "POST", "/inner/people/match",
                    {"national_id": word("an unsigned look-up")}, signed, address)  # fmt: skip
