"""Bearer tokens of apps and machines, checked once and then known by their hash."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import storage
from gateway.model.handles import Handles
from tests.gateway import scripted_provider as scripted
from tests.gateway.identity_world import (
    AUDIENCE,
    CLIENT,
    HANDLE_KEY,
    POLICE_ORGNR,
    REAL_SHAPED_NUMBER,
    SCHOOL_ORGNR,
    YOUTH,
    YOUTH_NUMBER,
    World,
    problem,
    world,
)  # fmt: skip
from tests.gateway.scripted_provider import ScriptedProvider, scripted_provider

Sign = Callable[[dict[str, Any]], str]


@dataclass
class Town:
    """One replica with all three issuers. Its database cannot be reached: bearer tokens need none."""

    world: World
    issuers: dict[str, ScriptedProvider]

    def claims(self, issuer: str = "machine", **changes: Any) -> dict[str, Any]:
        """Good claims of that issuer's bearer tokens, changed."""
        now = int(self.world.clock.now())
        good: dict[str, Any] = {
            "iss": self.issuers[issuer].url, "aud": AUDIENCE, "iat": now, "exp": now + 120, "sub": "sub-1",
        }  # fmt: skip
        if issuer == "machine":
            consumer = {"authority": "iso6523-actorid-upis", "ID": f"0192:{POLICE_ORGNR}"}
            good |= {"scope": "samlogg", "consumer": consumer}
        else:
            good["acr"] = {"citizen": "idporten-loa-high", "staff": "high"}[issuer]
        if issuer == "citizen":
            good["pid"] = YOUTH_NUMBER
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    async def ask(self, token: str, **more: Any) -> httpx.Response:
        """A request under this token."""
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self.world.http.request(more.pop("method", "GET"), "/anything", headers=headers, **more)

    async def told(self, issuer: str = "machine", sign: Sign = scripted.signed, **changes: Any) -> httpx.Response:
        """A request under a token with these claims."""
        return await self.ask(sign(self.claims(issuer, **changes)))


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    engine: AsyncEngine = storage.make_engine("postgresql+asyncpg://nobody:nothing@127.0.0.1:1/none")
    async with (
        scripted_provider() as citizen, scripted_provider() as staff, scripted_provider() as machine,
        world(engine, {"citizen": citizen, "staff": staff, "machine": machine}) as replica,
    ):  # fmt: skip
        yield Town(replica, {"citizen": citizen, "staff": staff, "machine": machine})
    await engine.dispose()


async def test_a_machine_is_its_agency_and_acts_for_the_services_of_its_attachment(town: Town) -> None:
    found = (await town.told(method="POST", services=["school"], role="admin")).json()
    assert (found["kind"], found["id"], found["agency"]) == ("machine", "attachment-police", "police")
    assert (found["services"], found["role"], found["audience"]) == (["prevention"], None, "agency:police")


async def test_an_agencys_staff_and_its_machines_call_a_subject_the_same(town: Town) -> None:
    town.world.directory.staff("officer", town.issuers["staff"].url, "sub-1", ["prevention"])
    machine, staff = (await town.told("machine")).json(), (await town.told("staff")).json()
    handles = Handles(HANDLE_KEY)
    assert handles.to_handle(machine["audience"], YOUTH) == handles.to_handle(staff["audience"], YOUTH)


async def test_staff_of_services_of_two_agencies_share_their_handles_with_nobody(town: Town) -> None:
    town.world.directory.staff("both", town.issuers["staff"].url, "sub-1", ["prevention", "school"])
    found = (await town.told("staff")).json()
    assert (found["agency"], found["audience"]) == (None, "staff:both")


async def test_a_citizens_app_is_that_person(town: Town) -> None:
    found = (await town.told("citizen")).json()
    assert (found["kind"], found["id"], found["audience"]) == ("person", YOUTH, f"person:{YOUTH}")
    assert (await town.told("citizen", acr="idporten-loa-substantial")).json()["assurance"] == "substantial"


async def test_a_pid_in_a_machines_token_is_not_a_person_who_logged_in(town: Town) -> None:
    assert (await town.told("machine", pid=YOUTH_NUMBER)).json()["kind"] == "machine"
    assert town.world.people.asked == []


REFUSED: dict[str, tuple[str, Sign, dict[str, Any], tuple[int, str]]] = {
    "ended": ("machine", scripted.signed, {"exp": 1_600_000_000}, (401, "token-expired")),
    "of the future": (
        "machine", scripted.signed, {"iat": 4_000_000_000, "exp": 4_000_000_100}, (401, "token-not-yet-valid"),
    ),
    "for somebody else": ("machine", scripted.signed, {"aud": "https://else.example"}, (401, "wrong-audience")),
    "for anybody": ("machine", scripted.signed, {"aud": "unspecified"}, (401, "wrong-audience")),
    "an ID token": ("citizen", scripted.signed, {"aud": CLIENT}, (401, "wrong-audience")),
    "of an unknown issuer": ("machine", scripted.signed, {"iss": "https://evil.example"}, (401, "unknown-issuer")),
    "of no issuer": ("machine", scripted.signed, {"iss": None}, (401, "unknown-issuer")),
    "alg none": ("machine", scripted.unsigned, {}, (401, "token-algorithm")),
    "HS256 with the public key": ("machine", scripted.signed_with_public_key, {}, (401, "token-algorithm")),
    "a key nobody shows": ("machine", lambda c: scripted.signed(c, kid="hidden"), {}, (401, "token-key-unknown")),
    "another key under a known name": (
        "machine", lambda c: scripted.signed(c, kid="hidden", shown_as="one"), {}, (401, "token-signature"),
    ),
    "another way of signing": ("machine", lambda c: scripted.signed(c, alg="PS512"), {}, (401, "token-algorithm")),
    "without the scope": ("machine", scripted.signed, {"scope": "other"}, (403, "missing-scope")),
    "of an organisation unknown": (
        "machine", scripted.signed, {"consumer": {"ID": "0192:999999999"}}, (403, "unknown-organisation"),
    ),
    "of an agency that is not attached": (
        "machine", scripted.signed, {"consumer": {"ID": f"0192:{SCHOOL_ORGNR}"}}, (403, "unknown-organisation"),
    ),
    "of low assurance": ("citizen", scripted.signed, {"acr": "idporten-loa-low"}, (403, "low-assurance")),
    "of no assurance": ("citizen", scripted.signed, {"acr": None}, (403, "low-assurance")),
    "of a real person": ("citizen", scripted.signed, {"pid": REAL_SHAPED_NUMBER}, (403, "national-id-refused")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_token_that_proves_too_little_is_refused_with_its_reason(town: Town, case: str) -> None:
    issuer, sign, changes, expected = REFUSED[case]
    answer = await town.told(issuer, sign, **changes)
    assert problem(answer) == expected
    assert answer.json()["reason"] == expected[1]
    assert answer.headers["www-authenticate"].startswith("Bearer error=")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Basic dXNlcjpwdw==", "Bearer a", "Bearer a.b", "Bearer a.b.c", "Bearer ....", "Bearer é.é.é",
     "Bearer " + "a" * 9000, "Bearer e30.e30.e30", "Bearer e30.W10.x", "bearer", "Token x"],
)  # fmt: skip
async def test_what_is_no_token_is_refused_and_not_repeated(town: Town, header: str) -> None:
    answer = await town.world.http.get("/anything", headers={b"Authorization": header.encode()})
    status, slug = problem(answer)
    assert status == 401
    assert slug in ("token-malformed", "unknown-issuer")
    assert "dXNlcjpwdw" not in answer.text


async def test_two_tokens_in_one_request_are_none(town: Town) -> None:
    token = scripted.signed(town.claims())
    answer = await town.world.http.get(
        "/anything", headers=[("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    )
    assert problem(answer)[0] == 401


async def test_a_token_needs_no_csrf_header_and_never_borrows_a_cookie(town: Town) -> None:
    assert (await town.told("machine", method="POST")).status_code == 200
    cookie = {"Cookie": "samlogg=somebodys"}
    assert problem(await town.ask("a.b.c", headers=cookie)) == (401, "token-malformed")
    assert (await town.ask(scripted.signed(town.claims()), headers=cookie)).json()["kind"] == "machine"


async def test_a_known_token_ends_when_it_says(town: Town) -> None:
    token = scripted.signed(town.claims())
    assert (await town.ask(token)).status_code == 200
    town.world.clock.ahead = 120
    assert (await town.ask(token)).status_code == 200
    town.world.clock.ahead = 131
    assert problem(await town.ask(token)) == (401, "token-expired"), "ten seconds are for clocks that differ"


async def test_a_known_token_is_worth_what_the_directory_says_now(town: Town) -> None:
    token = scripted.signed(town.claims())
    assert (await town.ask(token)).json()["services"] == ["prevention"]
    town.world.directory.put("attachment", "attachment-police", agency="police", services=[], opaque="x1")
    assert (await town.ask(token)).json()["services"] == []
    town.world.directory.put("attachment", "attachment-police", agency="police", services=[], active=False)
    assert problem(await town.ask(token)) == (403, "unknown-organisation")
    town.world.directory.put("attachment", "new", agency="police", services=["prevention"], opaque="x2")
    assert (await town.ask(token)).json()["id"] == "new"
    town.world.directory.put("agency", "police", orgnr=POLICE_ORGNR, active=False)
    assert problem(await town.ask(token)) == (403, "unknown-organisation")
    town.world.directory.put("agency", "police", orgnr="999999999")
    assert problem(await town.ask(token)) == (403, "unknown-organisation")


async def test_a_known_token_of_staff_ends_when_they_are_told_to_stay_out(town: Town) -> None:
    issuer = town.issuers["staff"].url
    town.world.directory.staff("officer", issuer, "sub-1", ["prevention"])
    token = scripted.signed(town.claims("staff"))
    assert (await town.ask(token)).json()["id"] == "officer"
    town.world.directory.staff("officer", issuer, "sub-1", ["prevention"], active=False)
    assert problem(await town.ask(token)) == (403, "staff-inactive")


async def test_known_tokens_are_checked_anew_when_their_key_is_taken_away(town: Town) -> None:
    ends = int(time.time()) + 7200
    tokens = [scripted.signed(town.claims(exp=ends, jti=str(i))) for i in range(2)]
    for token in tokens:
        assert (await town.ask(token)).status_code == 200
    town.issuers["machine"].script.shown = ("two",)
    assert (await town.ask(tokens[0])).status_code == 200, "the keys are not asked for all the time"
    town.world.clock.ahead = 601
    assert (await town.ask(scripted.signed(town.claims(), kid="two"))).status_code == 200
    for token in tokens:
        assert problem(await town.ask(token)) == (401, "token-key-unknown")


async def test_a_new_key_is_found_with_one_question_however_many_ask(town: Town) -> None:
    await town.told()
    town.world.clock.ahead = 30
    town.issuers["machine"].script.shown = ("one", "two")
    tokens = [scripted.signed(town.claims(jti=str(i)), kid="two") for i in range(20)]
    answers = await asyncio.gather(*(town.ask(token) for token in tokens))
    assert {answer.status_code for answer in answers} == {200}
    assert town.issuers["machine"].script.asked_for_keys == 2


async def test_the_first_question_is_asked_once_however_many_ask(town: Town) -> None:
    tokens = [scripted.signed(town.claims(jti=str(i))) for i in range(20)]
    answers = await asyncio.gather(*(town.ask(token) for token in tokens))
    assert {answer.status_code for answer in answers} == {200}
    assert town.issuers["machine"].script.asked_for_keys == 1


async def test_an_issuer_that_is_down_is_told_with_503(town: Town) -> None:
    town.issuers["machine"].script.broken = True
    assert problem(await town.told()) == (503, "provider-unreachable")


async def test_a_citizen_whom_nobody_knows_yet_is_recognised_soon_after_becoming_known(town: Town) -> None:
    known = dict(town.world.people.known)
    town.world.people.known.clear()
    token = scripted.signed(town.claims("citizen"))
    assert (await town.ask(token)).json()["id"] is None
    assert (await town.ask(token)).json()["id"] is None
    assert len(town.world.people.asked) == 1
    town.world.people.known.update(known)
    town.world.clock.ahead = 6
    assert (await town.ask(token)).json()["id"] == YOUTH
    assert (await town.ask(token)).json()["id"] == YOUTH
    assert len(town.world.people.asked) == 2


async def test_neither_token_nor_national_id_is_kept(town: Town) -> None:
    token = scripted.signed(town.claims("citizen"))
    await town.ask(token)
    kept = repr(town.world.identity._bearers._known)
    assert YOUTH in kept
    assert YOUTH_NUMBER not in kept
    assert token.split(".")[2] not in kept


async def test_the_known_tokens_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.handlers.identity import bearers

    monkeypatch.setattr(bearers, "_MOST_KNOWN", 5)
    for i in range(12):
        await town.told(jti=str(i))
    assert len(town.world.identity._bearers._known) == 5


async def test_to_know_a_token_again_costs_microseconds(town: Town) -> None:
    """Aim 50 µs; the limit leaves room for a busy machine. Looking through the directory would be far above it."""
    for i in range(2000):
        town.world.directory.put("staff", f"s{i}", services=["school"], role="professional", identity=f"{i:064x}")
    town.world.directory.staff("officer", town.issuers["staff"].url, "sub-1", ["prevention"])
    for issuer in ("machine", "staff", "citizen"):
        token = scripted.signed(town.claims(issuer)).encode()
        scope = {"type": "http", "method": "GET", "headers": [
            (b"host", b"x"), (b"accept", b"*/*"), (b"user-agent", b"x"), (b"authorization", b"Bearer " + token),
        ]}  # fmt: skip
        await town.world.identity.identify(scope)
        times = []
        for _ in range(2000):
            began = time.perf_counter()
            await town.world.identity.identify(scope)
            times.append(time.perf_counter() - began)
        print(f"{issuer}: identify warm p50 {statistics.median(times) * 1e6:.1f} µs")
        assert statistics.median(times) < 100e-6
