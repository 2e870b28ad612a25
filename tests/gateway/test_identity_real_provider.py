"""The same doors against the OpenID provider of `make demo`: a real login page, real machine tokens, real keys."""

import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from local_stack import java, openid
from local_stack.ports import any_port
from local_stack.processes import Child, until
from tests.gateway.identity_world import (
    POLICE_ORGNR,
    SCHOOL_ORGNR,
    YOUTH,
    YOUTH_NUMBER,
    World,
    emptied,
    migrated,
    problem,
    world,
)  # fmt: skip
from tests.gateway.scripted_provider import ScriptedProvider
from tests.stack import ROOT, Postgres

DISTRICT = f"""
[[agencies]]
id = "police"
orgnr = "{POLICE_ORGNR}"
[[agencies]]
id = "oslo-school"
orgnr = "{SCHOOL_ORGNR}"
"""
ISSUERS = {"citizen": openid.CITIZEN, "staff": openid.STAFF, "machine": openid.MACHINE}


@pytest.fixture(scope="module")
def provider() -> Iterator[openid.Issuers]:
    """The provider as a process of its own; its jars are those of the checkout."""
    shared = ROOT / ".samlogg"
    shared.mkdir(exist_ok=True)
    java.prepare(shared)
    with tempfile.TemporaryDirectory(prefix="samlogg-openid-") as made:
        state = Path(made)
        for name in ("jars", "java"):
            (shared / name).mkdir(exist_ok=True)
            (state / name).symlink_to(shared / name, target_is_directory=True)
        (state / "district.toml").write_text(DISTRICT)
        port = any_port()
        jars = java.fetch(state, "openid")
        child = Child(openid.command(state, jars, port, state / "district.toml", state / "openid.log"))
        try:
            assert until(lambda: openid.answers(port), 60, child), "\n".join(child.last_lines())
            yield openid.issuers(port)
        finally:
            child.stop()


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return migrated(postgres.fresh_database("identity"))


@pytest.fixture
async def here(database: str, provider: openid.Issuers) -> AsyncIterator[World]:
    issuers = {kind: ScriptedProvider(getattr(provider, kind)) for kind in ISSUERS}
    names: dict[str, Any] = {"client_id": openid.CLIENT, "audience": openid.AUDIENCE}
    async with emptied(database) as engine, world(engine, issuers, **names) as replica:
        yield replica


async def log_in(here: World, who: str, user: str, claims: dict[str, str], **query: str) -> httpx.Response:
    """Through the provider's own page, as a person does."""
    begun = await here.http.get("/login", params={"as": who, **query})
    assert begun.status_code == 303, begun.text
    form = {"username": user, "claims": json.dumps(claims)}
    back = await here.http.post(begun.headers["location"], data=form)
    assert back.status_code == 302, back.text
    return await here.http.get(back.headers["location"])


async def machine_token(provider: openid.Issuers, client: str, audience: str = openid.AUDIENCE) -> str:
    """By JWT grant, as at Maskinporten."""
    key = RSAKey.generate_key(2048, {"kid": "machine"})
    now = int(time.time())
    grant = {
        "iss": client, "sub": client, "aud": provider.machine, "scope": "samlogg", "iat": now, "exp": now + 60,
        "jti": str(uuid4()), "resource": audience,
    }  # fmt: skip
    assertion = jws.serialize_compact({"alg": "RS256", "kid": "machine"}, json.dumps(grant).encode(), key)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion, "client_id": client,
        "scope": "samlogg", "audience": audience,
    }  # fmt: skip
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{provider.machine}/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_a_citizen_logs_in_at_the_real_page(here: World) -> None:
    done = await log_in(here, "citizen", "youth", {"pid": YOUTH_NUMBER, "acr": "idporten-loa-high"}, next="/log")
    assert (done.status_code, done.headers["location"]) == (303, "/log")
    assert (await here.http.get("/anything")).json()["id"] == YOUTH
    assert (await here.session()).json()["assurance"] == "high"
    assert (await here.http.post("/logout", headers=await here.csrf())).json()["provider"] is not None
    assert problem(await here.session()) == (401, "not-logged-in")


async def test_staff_log_in_at_their_own_issuer(here: World, provider: openid.Issuers) -> None:
    here.directory.staff("nurse-1", provider.staff, "nurse", ["school-nurse"])
    assert (await log_in(here, "staff", "nurse", {"acr": "high"})).status_code == 303
    found = (await here.http.get("/anything")).json()
    assert (found["id"], found["services"], found["agency"]) == ("nurse-1", ["school-nurse"], "oslo-school")


@pytest.mark.requirement("X1")
@pytest.mark.parametrize("claims", [{"pid": YOUTH_NUMBER}, {"pid": YOUTH_NUMBER, "acr": "idporten-loa-substantial"}])
async def test_too_little_assurance_is_refused(here: World, claims: dict[str, str]) -> None:
    assert problem(await log_in(here, "citizen", "youth", claims)) == (403, "low-assurance")
    assert await here.sessions() == 0


async def test_the_providers_answer_counts_once(here: World) -> None:
    begun = await here.http.get("/login", params={"as": "citizen"})
    form = {"username": "youth", "claims": json.dumps({"pid": YOUTH_NUMBER, "acr": "idporten-loa-high"})}
    back = (await here.http.post(begun.headers["location"], data=form)).headers["location"]
    browser = f"samlogg-login={here.http.cookies['samlogg-login']}"
    assert (await here.http.get(back)).status_code == 303
    assert problem(await here.http.get(back, headers={"Cookie": browser})) == (401, "login-unknown")


async def test_the_provider_itself_refuses_another_verifier(here: World) -> None:
    async with here.engine.begin() as conn:
        begun = await here.http.get("/login", params={"as": "citizen"})
        await conn.exec_driver_sql("UPDATE login_attempt SET verifier = repeat('x', 43)")
    form = {"username": "youth", "claims": json.dumps({"pid": YOUTH_NUMBER, "acr": "idporten-loa-high"})}
    back = (await here.http.post(begun.headers["location"], data=form)).headers["location"]
    assert problem(await here.http.get(back)) == (401, "code-refused")


async def test_an_agencys_machine_is_known_by_its_organisation(here: World, provider: openid.Issuers) -> None:
    token = {"Authorization": f"Bearer {await machine_token(provider, 'police')}"}
    found = (await here.http.post("/anything", headers=token)).json()
    assert (found["kind"], found["agency"], found["services"]) == ("machine", "police", ["prevention"])


async def test_a_machine_of_an_agency_that_is_not_attached_is_refused(here: World, provider: openid.Issuers) -> None:
    token = {"Authorization": f"Bearer {await machine_token(provider, 'oslo-school')}"}
    assert problem(await here.http.get("/anything", headers=token)) == (403, "unknown-organisation")


async def test_a_machine_that_nobody_registered_gets_no_token_for_us(here: World, provider: openid.Issuers) -> None:
    token = {"Authorization": f"Bearer {await machine_token(provider, 'stranger')}"}
    answer = await here.http.get("/anything", headers=token)
    assert problem(answer) == (401, "wrong-audience")


async def test_a_token_that_was_changed_on_the_way_is_refused(here: World, provider: openid.Issuers) -> None:
    head, claims, signature = (await machine_token(provider, "police")).split(".")
    for forged in (f"{head}.{claims}.{signature[::-1]}", f"{head}.{claims}.", f"{head}.{claims[:-4]}AAAA.{signature}"):
        answer = await here.http.get("/anything", headers={"Authorization": f"Bearer {forged}"})
        assert problem(answer)[0] == 401
