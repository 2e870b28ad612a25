"""Invitations: redeemed once, by one login, and gone for good when somebody leaves."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from chassis.permit import Actor
from directory import storage
from directory.app import create_app
from tests.directory.conftest import FIRST_CODE, NOBODY, NURSE, TEACHER, Door, Make

REDEEM = "/invitations/redeem"


async def _codes(door: Door, document: dict[str, Any]) -> dict[str, str]:
    async with await door.admin() as admin:
        loaded = (await admin.put("/districts/gamlebyen", json=document)).json()
    return {one["staff"]: one["code"] for one in loaded["invitations"]}


def _login() -> str:
    return uuid4().hex * 2


async def _redeem(door: Door, code: str, actor: Actor, **headers: str) -> tuple[int, dict[str, Any]]:
    async with door.as_(actor) as client:
        answer = await client.post(REDEEM, json={"code": code}, headers=headers)
    return answer.status_code, answer.json()


async def test_a_code_binds_the_login_to_the_invited_member(
    door: Door, engine: AsyncEngine, document: dict[str, Any], newcomer: Actor
) -> None:
    codes = await _codes(door, document)
    status, body = await _redeem(door, codes[NURSE], newcomer)
    assert status == 202, "nobody has confirmed it yet"
    assert body == {
        "staff": NURSE, "role": "professional", "services": ["school-health"], "active": True, "joined": True,
        "status": "pending",
    }  # fmt: skip
    async with engine.connect() as conn:
        row = await storage.find(conn, "staff", NURSE)
        codes_kept = (await conn.execute(select(storage.invitation.c.code))).scalars().all()
    assert row is not None and row["identity"] == newcomer.login and row["version"] == 2
    assert not set(codes.values()) & set(codes_kept), "only hashes are kept"


async def test_a_code_is_redeemed_once(door: Door, document: dict[str, Any], newcomer: Actor) -> None:
    code = (await _codes(door, document))[NURSE]
    await _redeem(door, code, newcomer)
    for again in (newcomer, replace(newcomer, id=NURSE), replace(NOBODY, login=_login())):
        status, body = await _redeem(door, code, again)
        assert (status, body["type"]) == (404, "urn:samlogg:problem:invitation-not-valid")


async def test_of_two_who_redeem_a_code_at_once_one_wins(
    door: Door, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    codes = await _codes(door, document)
    for member in (NURSE, TEACHER):
        logins = [_login() for _ in range(4)]
        results = await asyncio.gather(
            *(_redeem(door, codes[member], replace(NOBODY, login=login)) for login in logins)
        )
        assert sorted(status for status, _ in results) == [202, 404, 404, 404]
        winner = logins[[status for status, _ in results].index(202)]
        async with engine.connect() as conn:
            row = await storage.find(conn, "staff", member)
        assert row is not None and (row["identity"], row["version"]) == (winner, 2)


async def test_one_login_that_redeems_two_codes_at_once_gets_one(
    door: Door, document: dict[str, Any], newcomer: Actor
) -> None:
    codes = await _codes(door, document)
    results = await asyncio.gather(*(_redeem(door, codes[member], newcomer) for member in (NURSE, TEACHER)))
    assert sorted(status for status, _ in results) == [202, 409]


async def test_a_repeated_request_under_the_same_key_gets_the_same_answer_and_nobody_else_does(
    door: Door, document: dict[str, Any], newcomer: Actor
) -> None:
    codes = await _codes(door, document)
    first = await _redeem(door, codes[NURSE], newcomer, **{"Idempotency-Key": "one"})
    again = await _redeem(door, codes[NURSE], replace(newcomer, id=NURSE), **{"Idempotency-Key": "one"})
    other = await _redeem(door, codes[TEACHER], replace(NOBODY, login=_login()), **{"Idempotency-Key": "one"})
    assert first == again
    assert other[0] == 202 and other[1]["staff"] == TEACHER
    reused = await _redeem(door, codes[TEACHER], newcomer, **{"Idempotency-Key": "one"})
    assert reused[1]["type"] == "urn:samlogg:problem:idempotency-key-reused"


@pytest.mark.parametrize(
    ("change", "status"),
    [({"kind": "person"}, 404), ({"login": None}, 404), ({"assurance": "substantial"}, 403)],
)
async def test_a_citizen_and_a_weak_login_cannot_redeem(
    door: Door, document: dict[str, Any], newcomer: Actor, change: dict[str, Any], status: int
) -> None:
    code = (await _codes(door, document))[NURSE]
    assert (await _redeem(door, code, replace(newcomer, **change)))[0] == status
    assert (await _redeem(door, code, newcomer))[0] == 202, "the code is as good as before"


async def test_a_guessed_and_an_expired_code_cannot_be_told_apart(
    door: Door, engine: AsyncEngine, document: dict[str, Any], newcomer: Actor
) -> None:
    code = (await _codes(door, document))[NURSE]
    async with engine.begin() as conn:
        late = storage.invitation.c.expires - timedelta(days=15)
        await conn.execute(update(storage.invitation).values(expires=late))
    assert await _redeem(door, code, newcomer) == await _redeem(door, "x" * 32, newcomer)


async def test_inviting_again_voids_the_code_before(door: Door, document: dict[str, Any], newcomer: Actor) -> None:
    async with await door.admin() as admin:
        loaded = (await admin.put("/districts/gamlebyen", json=document)).json()
        old = next(one["code"] for one in loaded["invitations"] if one["staff"] == NURSE)
        new = (await admin.post(f"/staff/{NURSE}/invitation")).json()["code"]
        assert (await _redeem(door, old, newcomer))[0] == 404
        assert (await _redeem(door, new, newcomer))[0] == 202
        joined = await admin.post(f"/staff/{NURSE}/invitation")
        assert joined.json()["errors"] == [{"where": "staff", "what": "has-joined"}]


async def test_who_was_deactivated_cannot_redeem_and_the_login_is_free_again(
    door: Door, engine: AsyncEngine, document: dict[str, Any], newcomer: Actor
) -> None:
    async with await door.admin() as admin:
        loaded = (await admin.put("/districts/gamlebyen", json=document)).json()
        codes = {one["staff"]: one["code"] for one in loaded["invitations"]}
        await _redeem(door, codes[NURSE], newcomer)
        gone = await admin.post(f"/staff/{NURSE}/deactivation")
        assert (gone.status_code, gone.json()["active"], gone.json()["status"]) == (202, False, "pending")
        again = await admin.post(f"/staff/{NURSE}/deactivation")
        assert again.json() == gone.json()
        async with engine.connect() as conn:
            row = await storage.find(conn, "staff", NURSE)
        assert row is not None and row["version"] == 3, "the second time changed nothing"
        assert (await _redeem(door, codes[TEACHER], newcomer))[0] == 202
        await admin.post(f"/staff/{TEACHER}/deactivation")
        unknown = await admin.post(f"/staff/{uuid4()}/deactivation")
    assert unknown.status_code == 404


async def test_an_administrator_who_was_deactivated_administers_nothing_though_the_gateway_does_not_know_yet(
    door: Door, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        loaded = (await admin.put("/districts/gamlebyen", json=document)).json()
        local = next(member["id"] for member in document["staff"] if member["role"] == "admin")
        code = next(one["code"] for one in loaded["invitations"] if one["staff"] == local)
        await _redeem(door, code, replace(NOBODY, login=_login()))
        async with door.as_(Actor("staff", local, (), "admin", None, "high")) as client:
            assert (await client.get(f"/staff/{NURSE}")).status_code == 200
            await admin.post(f"/staff/{local}/deactivation")
            assert (await client.get(f"/staff/{NURSE}")).status_code == 403


async def test_the_first_administrator_is_made_once_and_the_code_is_worth_nothing_afterwards(
    make_settings: Make, engine: AsyncEngine
) -> None:
    async def start(**more: Any) -> Door:
        app = create_app(make_settings(**more), bus=False)
        async with app.router.lifespan_context(app):
            return Door(app)

    await asyncio.gather(start(), start())
    async with engine.connect() as conn:
        assert len(await storage.listed(conn, "staff")) == 1
    app = create_app(make_settings(first_admin_code="another-code-after-a-mistake"), bus=False)
    async with app.router.lifespan_context(app):
        door = Door(app)
        assert (await _redeem(door, FIRST_CODE, replace(NOBODY, login=_login())))[0] == 404
        assert (await _redeem(door, "another-code-after-a-mistake", replace(NOBODY, login=_login())))[0] == 202
    app = create_app(make_settings(), bus=False)
    async with app.router.lifespan_context(app):
        assert (await _redeem(Door(app), FIRST_CODE, replace(NOBODY, login=_login())))[0] == 404
    async with engine.connect() as conn:
        assert len(await storage.listed(conn, "staff")) == 1


async def test_a_first_administrator_who_waited_too_long_gets_the_code_anew_at_the_next_start(
    make_settings: Make,
) -> None:
    old = create_app(make_settings(), bus=False, clock=Clock(timedelta(days=-20)))
    async with old.router.lifespan_context(old):
        pass
    new = create_app(make_settings(), bus=False)
    async with new.router.lifespan_context(new):
        assert (await _redeem(Door(new), FIRST_CODE, replace(NOBODY, login=_login())))[0] == 202


def test_a_short_first_code_stops_the_start(make_settings: Make) -> None:
    with pytest.raises(ValueError, match="at least 20 characters"):
        make_settings(first_admin_code="short")
