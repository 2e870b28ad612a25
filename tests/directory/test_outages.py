"""Parts that are away: what still works, what is told, and that nothing is lost."""

from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.permit import Actor
from directory import storage
from directory.app import create_app
from tests import stack
from tests.directory.conftest import NURSE, Door, Make
from tests.directory.test_publishing import until


async def test_without_kafka_changes_are_taken_and_pending_and_ready_says_what_is_missing(
    make_settings: Make, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    app = create_app(make_settings())
    async with app.router.lifespan_context(app):
        door = Door(app)
        async with await door.admin() as admin:
            assert (await admin.put("/districts/gamlebyen", json=document)).json()["status"] == "pending"
            assert (await admin.post(f"/staff/{NURSE}/deactivation")).status_code == 202
        async with door.as_(None) as anybody:

            async def told() -> bool:
                answer = await anybody.get("/ready")
                waiting = answer.json()["waiting"]
                return answer.status_code == 503 and set(waiting) >= {"publisher", "consumer"}

            await until(told)
            assert (await anybody.get("/live")).status_code == 200
    async with engine.connect() as conn:
        row = await storage.find(conn, "staff", NURSE)
    assert row is not None and (row["version"], row["published"], row["confirmed"]) == (2, 0, 0)


async def test_without_the_database_every_door_says_unavailable(
    make_settings: Make, postgres: stack.Postgres, door: Door
) -> None:
    url = make_settings().database_url.get_secret_value()
    postgres.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    async with door.as_(Actor("staff", NURSE, (), "admin", None, "high")) as client:
        for answer in (await client.get("/services"), await client.post(f"/staff/{NURSE}/deactivation")):
            assert answer.status_code == 503 and answer.headers["Retry-After"]
            assert answer.json()["type"] == "urn:samlogg:problem:unavailable"
