"""The business clock: moved forward by an administrator in a synthetic installation, never in production."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock, ClockFixed, wall_now
from chassis.permit import Actor
from directory import storage
from directory.app import create_app
from directory.handlers import moving
from directory.messages import state_of
from tests.directory.conftest import NOBODY, Door, Make

WEEK, YEAR = timedelta(days=7), timedelta(days=365)


def at(ahead: timedelta) -> dict[str, str]:
    return {"to": (wall_now() + ahead).isoformat()}


async def held(engine: AsyncEngine) -> tuple[int, int]:
    """Seconds ahead, and the version of the entry."""
    async with engine.connect() as conn:
        row = await storage.find(conn, "clock", "business")
    return (0, 0) if row is None else (row["body"]["ahead"], row["version"])


async def test_an_administrator_moves_the_clock_and_it_is_published_like_any_entry(
    door: Door, engine: AsyncEngine
) -> None:
    async with await door.admin() as admin:
        before = (await admin.get("/clock")).json()
        assert (before["ahead_seconds"], before["status"]) == (0, "confirmed")
        moved = await admin.put("/clock", json=at(YEAR))
        assert moved.status_code == 202, "no gateway has confirmed it yet"
        shown = moved.json()
        assert abs(shown["ahead_seconds"] - YEAR.total_seconds()) <= 2
        assert shown["status"] == "pending" and shown["now"] > before["now"][:4]
        again = await admin.get("/clock")
        assert again.json()["now"][:4] == str((wall_now() + YEAR).year)
    seconds, version = await held(engine)
    body = state_of("clock", "business", version, {"ahead": seconds}, active=True, identity=None)
    assert body == {"version": 1, "kind": "clock", "id": "business", "ahead": seconds}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"to": "2020-01-01T00:00:00Z"}, "clock-goes-forward"),
        ({"to": "2999-01-01T00:00:00Z"}, "too-far"),
        ({"to": "2031-01-01T00:00:00"}, None),
        ({"to": "tomorrow"}, None),
        ({"to": 1893456000}, None),
        ({}, None),
        ({"to": "2031-01-01T00:00:00Z", "back": True}, None),
    ],
)
async def test_a_bad_time_moves_nothing(
    door: Door, engine: AsyncEngine, body: dict[str, Any], code: str | None
) -> None:
    async with await door.admin() as admin:
        await admin.put("/clock", json=at(WEEK))
        before = await held(engine)
        answer = await admin.put("/clock", json=body)
        assert answer.status_code == 422, answer.text
        if code is not None:
            assert [one["what"] for one in answer.json()["errors"]] == [code]
    assert await held(engine) == before


async def test_nobody_but_an_administrator_of_the_whole_may_move_it(
    door: Door, engine: AsyncEngine, newcomer: Actor
) -> None:
    for actor in (newcomer, replace(NOBODY, id="x", role="admin"), Actor("person", "p", assurance="high")):
        async with door.as_(actor) as client:
            assert (await client.put("/clock", json=at(WEEK))).status_code == 403
            assert (await client.get("/clock")).status_code == 403
    assert await held(engine) == (0, 0)


async def test_another_replica_and_a_new_start_go_by_it(make_settings: Make, door: Door) -> None:
    async with await door.admin() as admin:
        await admin.put("/clock", json=at(YEAR))
    clock = Clock(movable=True)
    app = create_app(make_settings(), clock=clock, bus=False)
    async with app.router.lifespan_context(app):
        assert abs(clock.ahead - YEAR) < timedelta(seconds=3)


async def test_production_moves_nothing_and_does_not_start_on_the_database_of_a_moved_clock(
    make_settings: Make, engine: AsyncEngine
) -> None:
    production = create_app(make_settings(mode="production"), bus=False)
    async with production.router.lifespan_context(production), await Door(production).admin() as admin:
        answer = await admin.put("/clock", json=at(WEEK))
        assert [one["what"] for one in answer.json()["errors"]] == ["clock-fixed"]
    assert await held(engine) == (0, 0)
    async with engine.begin() as conn:
        await moving.move(conn, Clock(movable=True), wall_now() + WEEK, storage.Change("x", wall_now()))
    again = create_app(make_settings(mode="production"), bus=False)
    with pytest.raises(ClockFixed):
        async with again.router.lifespan_context(again):
            pass
