"""Sessions, cookies and forged requests, on real HTTP (plain and TLS) and a real PostgreSQL."""

import asyncio
import datetime as dt
import ipaddress
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import storage
from chassis.problems import Problem
from gateway.handlers.identity.sessions import Sessions
from gateway.storage import metadata as tables
from tests.gateway import scripted_provider as scripted
from tests.gateway.identity_world import (
    AUDIENCE,
    SESSION_KEY,
    YOUTH,
    YOUTH_NUMBER,
    Clock,
    Directory,
    World,
    emptied,
    migrated,
    problem,
    trusting,
    world,
)  # fmt: skip
from tests.gateway.scripted_provider import ScriptedProvider, scripted_provider
from tests.stack import Postgres


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return migrated(postgres.fresh_database("identity"))


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with emptied(database) as made:
        yield made


@pytest.fixture
async def citizens() -> AsyncIterator[ScriptedProvider]:
    async with scripted_provider() as provider:
        provider.script.claims = {"pid": YOUTH_NUMBER}
        yield provider


@pytest.fixture
async def here(engine: AsyncEngine, citizens: ScriptedProvider) -> AsyncIterator[World]:
    async with world(engine, {"citizen": citizens}) as replica:
        assert (await replica.log_in()).status_code == 303
        yield replica


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that lives for an hour."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder


# --- cookies --------------------------------------------------------------------------------------------------------


def _cookies(answer: httpx.Response) -> dict[str, set[str]]:
    """Name to attributes (lower case) of every cookie that the answer sets."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = [part.strip() for part in header.split(";")]
        found[pair.split("=")[0]] = {attribute.lower() for attribute in attributes}
    return found


async def test_over_tls_both_cookies_are_bound_to_this_host_and_out_of_reach_of_scripts(
    engine: AsyncEngine, citizens: ScriptedProvider, certificate: Path
) -> None:
    async with world(engine, {"citizen": citizens}, tls=certificate) as replica:
        begun = _cookies(await replica.http.get("/login", params={"as": "citizen"}))
        done = await replica.log_in()
        assert done.status_code == 303
        wanted = {"secure", "httponly", "samesite=lax", "path=/"}
        assert begun["__Host-samlogg-login"] >= wanted
        assert _cookies(done)["__Host-samlogg"] == wanted, "no Domain, and no longer than the browser's own session"
        assert "max-age=0" in _cookies(done)["__Host-samlogg-login"]
        assert (await replica.session()).json()["kind"] == "person"
        cookie = replica.http.cookies["__Host-samlogg"]
        async with httpx.AsyncClient(base_url=replica.url, verify=trusting(certificate), trust_env=False) as other:
            answer = await other.get("/session", headers={"Cookie": f"samlogg={cookie}"})
            assert problem(answer) == (401, "not-logged-in"), "the plain name counts for nothing over TLS"
        out = await replica.http.post("/logout", headers=await replica.csrf())
        assert _cookies(out)["__Host-samlogg"] >= {"max-age=0", "secure", "path=/"}


async def test_on_plain_loopback_the_cookie_has_a_plain_name(here: World) -> None:
    assert set(here.http.cookies) == {"samlogg"}
    assert len(here.http.cookies["samlogg"]) == 43


async def test_nothing_of_a_login_or_a_session_is_kept_by_caches(here: World) -> None:
    for answer in [await here.http.get("/login", params={"as": "citizen"}), await here.session(), await here.log_in(),
                   await here.http.get("/me")]:  # fmt: skip
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "cookie", ["", "samlogg", "samlogg=", "samlogg=x", "samlogg=" + "x" * 5000, "Samlogg=x", "samlogg=\xe9"]
)
async def test_a_cookie_of_no_session_is_refused(here: World, cookie: str) -> None:
    async with httpx.AsyncClient(base_url=here.url, trust_env=False) as other:
        answer = await other.get("/session", headers={b"Cookie": cookie.encode("latin-1")})
    assert problem(answer)[0] == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_sessions_in_one_request_are_none(here: World) -> None:
    cookie = here.http.cookies["samlogg"]
    async with httpx.AsyncClient(base_url=here.url, trust_env=False) as other:
        answer = await other.get("/session", headers={"Cookie": f"samlogg={cookie}; samlogg=another"})
    assert problem(answer) == (401, "session-ambiguous")


# --- forged requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_change_needs_the_sessions_own_token(here: World, method: str) -> None:
    own = await here.csrf()
    assert (await here.http.request(method, "/anything", headers=own)).status_code == 200
    assert problem(await here.http.request(method, "/anything")) == (403, "csrf")
    for wrong in ["", "x", own["X-CSRF-Token"][:-1], own["X-CSRF-Token"] + "x", here.http.cookies["samlogg"]]:
        answer = await here.http.request(method, "/anything", headers={"X-CSRF-Token": wrong})
        assert problem(answer) == (403, "csrf")


async def test_another_sessions_token_is_worth_nothing(here: World) -> None:
    own = await here.csrf()
    await here.log_in()
    assert problem(await here.http.post("/anything", headers=own)) == (403, "csrf")


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}],
)  # fmt: skip
async def test_a_change_from_another_site_is_refused_even_with_the_token(here: World, headers: dict[str, str]) -> None:
    assert problem(await here.http.post("/anything", headers={**await here.csrf(), **headers})) == (403, "cross-site")
    assert (await here.http.get("/anything", headers=headers)).status_code == 200


async def test_a_change_from_our_own_pages_goes_through(here: World) -> None:
    headers = {**await here.csrf(), "Origin": here.url, "Sec-Fetch-Site": "same-origin"}
    assert (await here.http.post("/anything", headers=headers)).status_code == 200
    other_port = {**headers, "Origin": here.url.rsplit(":", 1)[0] + ":1"}
    assert problem(await here.http.post("/anything", headers=other_port)) == (403, "cross-site")


async def test_a_forged_logout_ends_nothing(here: World) -> None:
    assert problem(await here.http.post("/logout")) == (403, "csrf")
    assert (await here.http.get("/logout")).status_code == 405
    assert (await here.session()).status_code == 200


# --- the end of sessions --------------------------------------------------------------------------------------------


async def test_a_logout_ends_the_session_here_at_once_and_on_other_replicas_within_a_second(
    engine: AsyncEngine, citizens: ScriptedProvider
) -> None:
    directory, clock = Directory(), Clock()
    async with (
        world(engine, {"citizen": citizens}, directory=directory, clock=clock) as first,
        world(engine, {"citizen": citizens}, directory=directory, clock=clock) as second,
    ):
        await first.log_in()
        cookie = {"Cookie": f"samlogg={first.http.cookies['samlogg']}"}
        async with httpx.AsyncClient(base_url=second.url, trust_env=False) as elsewhere:
            assert (await elsewhere.get("/session", headers=cookie)).status_code == 200
            out = await first.http.post("/logout", headers=await first.csrf())
            ended = time.monotonic()
            assert out.json()["ended"] is True
            assert out.json()["provider"].startswith(f"{citizens.url}/endsession?client_id=")
            assert problem(await first.http.get("/session", headers=cookie)) == (401, "session-ended")
            while (await elsewhere.get("/session", headers=cookie)).status_code == 200:
                assert time.monotonic() - ended < 1.2
                await asyncio.sleep(0.02)
            print(f"ended on the other replica after {(time.monotonic() - ended) * 1000:.0f} ms")
            assert problem(await elsewhere.get("/session", headers=cookie)) == (401, "session-ended")


async def test_a_session_that_is_not_used_ends(here: World) -> None:
    here.clock.ahead = 29 * 60
    assert (await here.session()).status_code == 200
    here.clock.ahead = 58 * 60
    assert (await here.session()).status_code == 200, "it was used in between"
    here.clock.ahead = 89 * 60
    assert problem(await here.session()) == (401, "session-ended")


async def test_a_stream_that_is_left_open_does_not_keep_a_session_alive_and_ends_with_it(here: World) -> None:
    cookie = f"samlogg={here.http.cookies['samlogg']}".encode()
    scope = {"type": "http", "method": "GET", "headers": [(b"cookie", cookie)]}
    for minutes in range(0, 30, 3):
        here.clock.ahead = minutes * 60
        assert (await here.identity.still(scope)).actor.kind == "person"
    here.clock.ahead = 31 * 60
    with pytest.raises(Problem, match="session-ended"):
        await here.identity.still(scope)
    assert problem(await here.session()) == (401, "session-ended")


async def test_no_session_lives_for_ever_however_much_it_is_used(here: World) -> None:
    for minutes in range(0, 8 * 60, 20):
        here.clock.ahead = minutes * 60
        assert (await here.session()).status_code == 200
    here.clock.ahead = 8 * 3600 + 1
    assert problem(await here.session()) == (401, "session-ended")


async def test_a_session_that_was_ended_elsewhere_does_not_come_back_by_being_used(here: World) -> None:
    async with here.engine.begin() as conn:
        await conn.exec_driver_sql("DELETE FROM session")
    here.clock.ahead = 120
    assert problem(await here.session()) == (401, "session-ended")
    assert await here.sessions() == 0


async def test_who_can_read_the_database_can_log_in_as_nobody(here: World) -> None:
    async with here.engine.connect() as conn:
        (stored,) = (await conn.exec_driver_sql("SELECT encode(hash, 'hex') FROM session")).one()
        (raw,) = (await conn.exec_driver_sql("SELECT hash FROM session")).one()
    from base64 import urlsafe_b64encode

    cookie = here.http.cookies["samlogg"]
    assert not any(cookie[i : i + 6].encode() in bytes(raw) for i in range(len(cookie) - 5))
    for tried in (stored, urlsafe_b64encode(raw).decode().rstrip("=")):
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as thief:
            answer = await thief.get("/session", headers={"Cookie": f"samlogg={tried}"})
            assert problem(answer) == (401, "session-ended")


async def test_a_database_that_is_away_is_told_with_503_and_tokens_go_on(citizens: ScriptedProvider) -> None:
    engine = storage.make_engine("postgresql+asyncpg://nobody:nothing@127.0.0.1:1/none")
    async with world(engine, {"citizen": citizens}) as replica:
        answer = await replica.http.get("/session", headers={"Cookie": "samlogg=" + "x" * 43})
        assert problem(answer) == (503, "sessions-unavailable")
        assert "retry-after" in answer.headers
        assert problem(await replica.http.get("/login", params={"as": "citizen"})) == (503, "sessions-unavailable")
        now = int(time.time())
        claims = {
            "iss": citizens.url, "aud": AUDIENCE, "iat": now, "exp": now + 60, "sub": "s", "pid": YOUTH_NUMBER,
            "acr": "idporten-loa-high",
        }  # fmt: skip
        bearer = {"Authorization": f"Bearer {scripted.signed(claims)}"}
        session = (await replica.http.get("/session", headers=bearer)).json()
        assert (session["kind"], session["csrf"]) == ("person", None)
        assert problem(await replica.http.post("/logout", headers=bearer)) == (400, "no-session")
    await engine.dispose()


async def test_a_database_that_refuses_us_is_told_with_503(postgres: Postgres, citizens: ScriptedProvider) -> None:
    missing = storage.make_engine(postgres.url("no_such_database"))
    empty = storage.make_engine(postgres.fresh_database("identity_empty"))
    for engine in (missing, empty):
        async with world(engine, {"citizen": citizens}) as replica:
            answer = await replica.http.get("/session", headers={"Cookie": "samlogg=" + "x" * 43})
            assert problem(answer) == (503, "sessions-unavailable")
        await engine.dispose()


async def test_the_own_handle_in_the_session_is_the_one_of_the_own_list(here: World) -> None:
    session, me = (await here.session()).json(), (await here.http.get("/me")).json()
    assert me == {"kind": "person", "subjects": [{"subject": session["person"], "kinds": ["self"]}]}
    assert YOUTH not in (await here.session()).text


async def test_what_a_remembered_session_costs_and_one_that_is_asked_for_each_time(here: World) -> None:
    """The choice of one second is a measured one: prints both; the remembered one must be far cheaper."""
    cookie = here.http.cookies["samlogg"]
    costs = {}
    for seconds in (0.0, 1.0):
        sessions = Sessions(here.engine, SESSION_KEY, time.time, remembered=seconds)
        times = []
        for _ in range(300):
            began = time.perf_counter()
            await sessions.find(cookie)
            times.append(time.perf_counter() - began)
        costs[seconds] = statistics.median(times) * 1e6
    print(f"find a session: asked each time {costs[0.0]:.0f} µs, remembered for a second {costs[1.0]:.1f} µs (p50)")
    assert costs[1.0] < 50
    assert costs[1.0] < costs[0.0] / 5


async def test_the_migrations_make_exactly_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), tables))

    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []
