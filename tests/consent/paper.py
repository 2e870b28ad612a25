"""What is registered in the tests of words on paper, spoken and through a companion: bodies, and who is asked to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from chassis.permit import Actor
from consent.handlers.directory import Entry, keep
from tests.consent.callers import NURSE, Case, Desk, ahead, person, somebody, staff

WITNESS, LEFT = "witness-1", "left-1"
NURSE_STAFF = staff(NURSE)
SCAN = {"sha256": "ab" * 32, "reference": "arkiv 2026/117, Mappesti-Kanari"}
PLACE, SAID = "Besøksrom-Kanari i fengselet", "Han leste selv og sa Ja-Kanari."


def at(minutes_ago: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds")


def backed(**more: Any) -> dict[str, Any]:
    """What a registered word rests on: complete, on paper."""
    return {"manner": "paper", "witness": WITNESS, "given_at": at(), "place": PLACE, "scan": SCAN} | more


async def employ(desk: Desk) -> None:
    """The directory knows a witness, and somebody who has left."""
    staffed = [
        Entry("staff", id_, 1, {"active": active})
        for id_, active in ((WITNESS, True), (LEFT, False), (NURSE_STAFF.id or "", True))
    ]
    async with desk.engine.begin() as conn:
        await keep(conn, staffed)


async def cells_of(case: Case, who: str, said: str, only: dict[str, str] | None = None) -> list[dict[str, str]]:
    """The same word about every cell that this person is shown."""
    shown = await case.seen_by(person(who))
    cells = [
        {"service": cell["service"], "category": category, "action": action, "answer": said}
        for cell in shown["cells"] for category in cell["categories"] for action in cell["actions"]
    ]  # fmt: skip
    return [cell for cell in cells if (only or {}).items() <= cell.items()]


async def registered_answer(
    case: Case, who: str, said: str = "yes", *, by: Actor = NURSE_STAFF, only: dict[str, str] | None = None,
    key: str | None = None, cells: list[dict[str, str]] | None = None, **more: Any,
) -> httpx.Response:  # fmt: skip
    """An answer on paper, read in the text in use."""
    text = (await case.seen_by(person(who)))["text"] if cells is None else {"version": "none", "language": "nb"}
    body = {
        **backed(), "person": who, "cells": cells if cells is not None else await cells_of(case, who, said, only),
        "text_version": text["version"], "language": text["language"],
    } | more  # fmt: skip
    path = f"{case.path}/requests/{case.id}/registered-answer"
    return await case.desk.ask(
        "POST", path, by, {k: v for k, v in body.items() if v is not None}, subject=case.subject, key=key
    )


async def told(case: Case, by: Actor = NURSE_STAFF, *, key: str | None = None, **body: Any) -> httpx.Response:
    """A withdrawal that somebody told."""
    return await case.desk.ask("POST", f"{case.path}/registered-withdrawals", by, body, subject=case.subject, key=key)


async def form(case: Case, by: Actor, who: str | None = None, language: str | None = None) -> httpx.Response:
    """A paper form is printed."""
    return await case.desk.ask(
        "POST", f"{case.path}/requests/{case.id}/form", by, {} if who is None else {"person": who},
        subject=case.subject, language=language,
    )  # fmt: skip


def code_on(printed: httpx.Response) -> str:
    """The code on the page."""
    return str(printed.json()["paper"]["name"]).removeprefix("samlogg-")


async def named(case: Case, by: Actor, who: dict[str, Any] | None = None, **more: Any) -> tuple[httpx.Response, str]:
    """A companion is named; the answer and, if there is one now, their person id."""
    body = {**(who or somebody(51)), "acts": ["answer"], "until": ahead(100)} | more
    answer = await case.desk.ask("POST", f"{case.path}/companions", by, body, subject=case.subject)
    return answer, await case.person(body["national_id"]) if answer.status_code == 201 else ""


async def everything(case: Case) -> tuple[Any, ...]:
    """All that a refused act must leave as it was."""
    counts = [
        (await case.desk.rows(f"SELECT count(*) FROM {table}"))[0][0]
        for table in ("answer", "given_otherwise", "information_given", "paper_form", "companion", "change", "grants")
    ]
    return (*counts, await case.desk.state(case.subject))
