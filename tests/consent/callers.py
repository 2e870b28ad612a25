"""Who asks consent in its tests, how the gateway would have signed it, and the people of each test."""

import base64
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from joserfc.jwk import OctKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import permit as signing
from chassis.permit import Action, Actor, Cell, Permit
from consent.handlers import applying, changes, state
from consent.handlers.directory import Entry
from consent.handlers.tables import current_law
from consent.model.law import Law
from consent.model.ledger import Pseudonyms
from consent.settings import Settings

INNER = b"i" * 32
NAMES = Pseudonyms(b"h" * 32)
"""What the ledger of `settings_for` calls people."""
NURSE, SCHOOL, POLICE, WELFARE = "school-health", "gamlebyen-school", "police-prevention", "child-welfare"
AGENCY = "gamlebyen-health"
KINDS = {NURSE: "health", SCHOOL: "school", POLICE: "police", WELFARE: "child-welfare"}
CATEGORIES = {"school": False, "leisure": False, "health": True, "police": True, "participants": False}


def settings_for(content: str, keys: str, **more: Any) -> Settings:
    """Settings of a consent on these databases."""

    def key(letter: bytes) -> str:
        return base64.b64encode(letter * 32).decode()

    given: dict[str, Any] = {
        "mode": "synthetic", "database_url": content, "keys_database_url": keys, "kafka_bootstrap": "127.0.0.1:1",
        "kafka_user": "consent", "kafka_password": "-", "inner_key": key(b"i"), "hash_key": key(b"h"),
        "key_encryption_key": key(b"w"), "leader_url": "http://127.0.0.1:1", "confirmation_seconds": 0.0,
        "ledger_signing_key": key(b"l"), "ledger_origin": "samlogg.test/ledger",
    }  # fmt: skip
    return Settings(**(given | more))


def entries(version: int = 1, **categories: bool) -> list[Entry]:
    """The directory as it is published: categories and services."""
    found = [
        Entry("category", id_, version, {"version": version, "kind": "category", "id": id_, "special": special})
        for id_, special in (CATEGORIES | categories).items()
    ]
    return found + [
        Entry(
            "service", id_, version,
            {"version": version, "kind": "service", "id": id_, "agency": AGENCY, "active": True,
             "name": {"nb": f"Tjenesten {id_}", "en": f"The service {id_}"}, "service_kind": kind},
        )
        for id_, kind in KINDS.items()
    ]  # fmt: skip


def today() -> date:
    return datetime.now(UTC).date()


def ahead(days: int = 200) -> str:
    return (today() + timedelta(days=days)).isoformat()


def born(age: int, days_ago: int = 60) -> date:
    """A birth date of somebody who became `age` some days ago."""
    day = today() - timedelta(days=days_ago)
    return date(day.year - age, day.month, min(day.day, 28))


_used: set[str] = set()


def a_number(birth: date, *, synthetic: bool = True) -> str:
    """A valid national id of the synthetic series (or not) that this run has not used: who shares it is one person."""
    while True:
        month = birth.month + (80 if synthetic else 0)
        digits = [int(c) for c in f"{birth.day:02}{month:02}{birth.year % 100:02}{random.randrange(1000):03}"]
        for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
            digits.append(-sum(w * d for w, d in zip(weights, digits, strict=True)) % 11)
        number = "".join(map(str, digits))
        if max(digits) < 10 and number not in _used:
            _used.add(number)
            return number


def somebody(age: int, language: str = "nb", **more: Any) -> dict[str, Any]:
    """A person as a request names them."""
    birth = born(age, random.randint(40, 300))
    return {
        "national_id": a_number(birth), "given_name": "Prøve", "family_name": "Testvik",
        "birth_date": birth.isoformat(), "language": language,
    } | more  # fmt: skip


def staff(*services: str, role: str = "professional", name: str | None = None) -> Actor:
    return Actor("staff", name or f"staff-{services[0]}", services, role, AGENCY, "high")


def person(id_: str, assurance: signing.Assurance = "high") -> Actor:
    return Actor("person", id_, assurance=assurance)


@dataclass(slots=True)
class Desk:
    """The app, asked with signed requests as the gateway would send them."""

    client: httpx.AsyncClient
    engine: AsyncEngine

    async def ask(
        self, method: str, path: str, actor: Actor, body: Any = None, *, subject: str | None = None,
        permit: Permit | None = None, key: str | None = None, language: str | None = None,
    ) -> httpx.Response:  # fmt: skip
        """One request. `key` is an Idempotency-Key."""
        raw = b"" if body is None else json.dumps(body).encode()
        token = signing.sign(
            OctKey.import_key(INNER), audience="consent", method=method, path=path, body=raw, actor=actor,
            subject=subject, route="consent.test", permit=permit, record=None, now=time.time(),
        )  # fmt: skip
        sent = {signing.HEADER: token, "content-type": "application/json"}
        if language is not None:
            sent["Accept-Language"] = language
        if key is not None:
            sent["Idempotency-Key"] = key
        return await self.client.request(method, path, content=raw or None, headers=sent)

    async def confirm(self) -> None:
        """What the leader does when every gateway has passed all changes."""
        async with self.engine.begin() as conn:
            rows = await conn.execute(
                text("UPDATE change SET state = 'confirmed', confirmed_at = now() WHERE state = 'pending' RETURNING *")
            )
            await changes.confirmed(conn, [dict(row) for row in rows.mappings()])

    async def state(self, subject: str) -> dict[str, Any]:
        """What the leader would publish now."""
        async with self.engine.connect() as conn:
            return await state.state_of(conn, current_law(), subject, datetime.now(UTC))

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.engine.connect() as conn:
            return list((await conn.execute(text(query), values)).all())


@dataclass(slots=True)
class Case:
    """A family and a request about its child, made by the nurse."""

    desk: Desk
    body: dict[str, Any]
    id: str = ""
    subject: str = ""
    guardians: list[str] = field(default_factory=list)

    async def made(self) -> "Case":
        answer = await self.desk.ask("POST", "/requests", staff(NURSE), self.body)
        assert answer.status_code == 201, answer.text
        self.id, self.subject = answer.json()["id"], answer.json()["subject"]
        self.guardians = [await self.person(one["national_id"]) for one in self.body["guardians"]]
        return self

    async def person(self, number: str) -> str:
        gateway = Actor("gateway", None)
        answer = await self.desk.ask("POST", "/inner/people/match", gateway, {"national_id": number})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["person"])

    @property
    def path(self) -> str:
        return f"/subjects/{self.subject}"

    async def seen_by(self, actor: Actor, language: str | None = None) -> dict[str, Any]:
        """The request as this actor is shown it."""
        path = f"{self.path}/requests/{self.id}"
        answer = await self.desk.ask("GET", path, actor, subject=self.subject, language=language)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def answer(
        self, who: str, said: str = "yes", *, only: dict[str, str] | None = None, key: str | None = None,
        assurance: signing.Assurance = "high", **more: Any,
    ) -> httpx.Response:  # fmt: skip
        """Say the same to every cell that this person is shown; `only`: fields that narrow the cells."""
        shown = await self.seen_by(person(who))
        cells = [
            {"service": cell["service"], "category": category, "action": action, "answer": said}
            for cell in shown["cells"] for category in cell["categories"] for action in cell["actions"]
        ]  # fmt: skip
        cells = [cell for cell in cells if (only or {}).items() <= cell.items()]
        body = {"cells": cells, "text_version": shown["text"]["version"], "language": shown["text"]["language"]}
        return await self.desk.ask(
            "POST", f"{self.path}/requests/{self.id}/answer", person(who, assurance), body | more,
            subject=self.subject, key=key,
        )  # fmt: skip

    async def everybody_agrees(self) -> "Case":
        """Everybody who is asked says yes to everything, and it is confirmed."""
        asked = {one["person"] for one in (await self.seen_by(staff(NURSE)))["answers"]}
        for who in sorted(asked):
            answered = await self.answer(who)
            assert answered.status_code in (200, 202), answered.text
        await self.desk.confirm()
        return self

    async def withdraw(
        self, who: str, service: str, category: str | None = None, *, key: str | None = None, **part: str
    ) -> httpx.Response:
        body = {"recipient": f"service:{service}", **part} | ({} if category is None else {"category": category})
        return await self.desk.ask("POST", f"{self.path}/withdrawals", person(who), body, subject=self.subject, key=key)

    async def grants(self) -> list[dict[str, Any]]:
        """Grants by consent in the published state."""
        return [grant for grant in (await self.desk.state(self.subject))["grants"] if grant["kind"] == "consent"]

    async def events(self) -> list[str]:
        """Types of the events about the subject, in their order."""
        rows = await self.desk.rows("SELECT type FROM outbox WHERE aggregateid = :s ORDER BY seq", s=self.subject)
        return [row[0] for row in rows]

    async def cells(self) -> set[tuple[str, str, str]]:
        """What the published grants add up to."""
        return {
            (grant["recipient"].removeprefix("service:"), category, action)
            for grant in await self.grants() for category in grant["categories"] for action in grant["actions"]
        }  # fmt: skip

    def permit(self, *categories: str, action: Action = "read") -> Permit:
        cells = tuple(Cell(category, str(uuid4())) for category in categories)
        return Permit(self.subject, action, "insight", cells)


def asked(service: str, *categories: str, actions: tuple[str, ...] = ("read", "contribute")) -> dict[str, Any]:
    return {"service": service, "categories": list(categories), "actions": list(actions)}


def a_request(age: int = 15, **more: Any) -> dict[str, Any]:
    """POST /requests about somebody of this age, with two guardians in their forties."""
    return {
        **somebody(age), "guardians": [somebody(43), somebody(45, "nn")], "responsibility": "felles", "level": 1,
        "why": "Mye fravær i høst.", "purpose": "follow-up",
        "cells": [asked(NURSE, "school", "health"), asked(POLICE, "school", "health", actions=("read",))],
        "until": ahead(),
    } | more  # fmt: skip


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and the end of the problem's type."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:samlogg:problem:")


async def everybody(engine: AsyncEngine, law: Law | None = None, held: applying.Held = applying.nothing) -> None:
    """What the leader does when the law has become another one: it goes through all subjects."""
    done: Sequence[str] = ("",)
    while done:
        async with engine.begin() as conn:
            done = await applying.some(conn, law or current_law(), done[-1] or None, 100, datetime.now(UTC), held)
