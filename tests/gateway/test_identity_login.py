"""Logins on real HTTP and a real PostgreSQL, against a provider that does as it is told: well once, badly often."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.gateway import scripted_provider as scripted
from tests.gateway.identity_world import (
    CLIENT,
    REAL_SHAPED_NUMBER,
    YOUTH,
    YOUTH_NUMBER,
    Clock,
    Directory,
    World,
    emptied,
    migrated,
    problem,
    world,
)  # fmt: skip
from tests.gateway.scripted_provider import Script, ScriptedProvider, key, scripted_provider
from tests.stack import Postgres


@dataclass
class Town:
    """One replica with a citizens' and a staff provider."""

    world: World
    citizens: ScriptedProvider
    staff: ScriptedProvider


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return migrated(postgres.fresh_database("identity"))


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with emptied(database) as made:
        yield made


@pytest.fixture
async def town(engine: AsyncEngine) -> AsyncIterator[Town]:
    async with (
        scripted_provider() as citizens, scripted_provider() as staff,
        world(engine, {"citizen": citizens, "staff": staff}) as replica,
    ):  # fmt: skip
        citizens.script.claims = {"pid": YOUTH_NUMBER}
        yield Town(replica, citizens, staff)


async def test_a_citizen_logs_in_and_the_national_id_goes_no_further_than_to_consent(town: Town) -> None:
    done = await town.world.log_in(next="/log?tab=1")
    assert (done.status_code, done.headers["location"]) == (303, "/log?tab=1")
    session = (await town.world.session()).json()
    assert (session["kind"], session["assurance"], session["services"]) == ("person", "high", [])
    assert town.world.people.asked == [YOUTH_NUMBER]
    assert (await town.world.http.get("/anything")).json()["id"] == YOUTH
    async with town.world.engine.connect() as conn:
        rows = [*(await conn.exec_driver_sql("SELECT * FROM session"))]
        rows += [*(await conn.exec_driver_sql("SELECT * FROM login_attempt"))]
    assert len(rows) == 1
    assert YOUTH_NUMBER not in str(rows)
    assert town.world.http.cookies["samlogg"] not in str(rows)


async def test_the_provider_is_asked_with_pkce_state_nonce_and_the_highest_assurance(town: Town) -> None:
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert asked["response_type"] == "code"
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    assert asked["acr_values"] == "idporten-loa-high"
    assert asked["redirect_uri"] == f"{town.world.url}/callback"
    await town.world.log_in()
    (request,) = town.citizens.script.token_requests
    assert request["code_verifier"] not in begun.headers["location"]
    expected = base64.b64encode(f"{CLIENT}:a-client-secret".encode()).decode()
    assert request["authorization"] == f"Basic {expected}"


async def test_staff_are_who_the_directory_says_whatever_the_token_claims(town: Town) -> None:
    town.world.directory.staff("nurse-1", town.staff.url, "sub-1", ["school-nurse"], role="professional")
    town.staff.script.claims = {"role": "admin", "services": ["prevention"], "pid": YOUTH_NUMBER, "acr": "high"}
    assert (await town.world.log_in("staff")).status_code == 303
    found = (await town.world.http.get("/anything")).json()
    assert (found["kind"], found["id"], found["role"], found["services"]) == (
        "staff", "nurse-1", "professional", ["school-nurse"],
    )  # fmt: skip
    assert (found["agency"], found["audience"]) == ("oslo-school", "agency:oslo-school")
    assert town.world.people.asked == []


async def test_staff_without_an_invitation_are_known_by_their_login_only(town: Town) -> None:
    assert (await town.world.log_in("staff")).status_code == 303
    found = (await town.world.http.get("/anything")).json()
    assert (found["id"], found["services"], found["role"], found["audience"]) == (None, [], None, "nobody")
    login = town.world.directory.staff("nurse-1", town.staff.url, "sub-1", ["school-nurse"])
    assert found["login"] == login
    found = (await town.world.http.get("/anything")).json()
    assert (found["id"], found["services"]) == ("nurse-1", ["school-nurse"])


async def test_staff_who_are_told_to_stay_out_lose_a_session_they_have_and_get_no_new_one(town: Town) -> None:
    town.world.directory.staff("nurse-1", town.staff.url, "sub-1", ["school-nurse"])
    await town.world.log_in("staff")
    town.world.directory.staff("nurse-1", town.staff.url, "sub-1", ["school-nurse"], active=False)
    assert problem(await town.world.session()) == (403, "staff-inactive")
    town.world.http.cookies.clear()
    assert problem(await town.world.log_in("staff")) == (403, "staff-inactive")
    assert "samlogg" not in town.world.http.cookies


async def test_a_citizen_whom_nobody_knows_is_logged_in_as_nobody(town: Town) -> None:
    town.world.people.known.clear()
    assert (await town.world.log_in()).status_code == 303
    session = (await town.world.session()).json()
    assert (session["kind"], session["person"]) == ("person", None)
    assert (await town.world.http.get("/me")).json() == {"kind": "person", "subjects": []}


def _claims(**changes: Any) -> Callable[[Script], None]:
    def script(found: Script) -> None:
        found.claims = {"pid": YOUTH_NUMBER, **changes}

    return script


def _sign(sign: Callable[[dict[str, Any]], str]) -> Callable[[Script], None]:
    def script(found: Script) -> None:
        found.sign = sign

    return script


def _answer(answer: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[Script], None]:
    def script(found: Script) -> None:
        found.answer = answer

    return script


def _without(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda answer: {key: value for key, value in answer.items() if key != name}


def _tampered(claims: dict[str, Any]) -> str:
    header, _, signature = scripted.signed(claims).split(".")
    changed = json.dumps({**claims, "pid": "45840375084"}).encode()
    return f"{header}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"


MISBEHAVIOUR: dict[str, tuple[Callable[[Script], None], tuple[int, str]]] = {
    "another nonce": (_claims(nonce="n" * 43), (401, "wrong-nonce")),
    "no nonce": (_claims(nonce=None), (401, "wrong-nonce")),
    "another audience": (_claims(aud="somebody-else"), (401, "wrong-audience")),
    "one audience more": (_claims(aud=[CLIENT, "somebody-else"]), (401, "wrong-audience")),
    "another party": (_claims(azp="somebody-else"), (401, "wrong-party")),
    "another issuer": (_claims(iss="https://idporten.example"), (401, "wrong-issuer")),
    "ended": (_claims(iat=int(time.time()) - 600, exp=int(time.time()) - 300), (401, "token-expired")),
    "of the future": (_claims(iat=int(time.time()) + 600, exp=int(time.time()) + 900), (401, "token-not-yet-valid")),
    "from before the login": (_claims(iat=int(time.time()) - 600), (401, "token-too-old")),
    "without an end": (_claims(exp=None), (401, "token-malformed")),
    "without assurance": (_claims(acr=None), (403, "low-assurance")),
    "of substantial assurance": (_claims(acr="idporten-loa-substantial"), (403, "low-assurance")),
    "of low assurance": (_claims(acr="idporten-loa-low"), (403, "low-assurance")),
    "in another issuer's words": (_claims(acr="high"), (403, "low-assurance")),
    "a real person in a synthetic town": (_claims(pid=REAL_SHAPED_NUMBER), (403, "national-id-refused")),
    "a number that is none": (_claims(pid="12345678910x"), (403, "national-id-refused")),
    "alg none": (_sign(scripted.unsigned), (401, "token-algorithm")),
    "HS256 with the public key": (_sign(scripted.signed_with_public_key), (401, "token-algorithm")),
    "a key nobody shows": (_sign(lambda claims: scripted.signed(claims, kid="hidden")), (401, "token-key-unknown")),
    "another key under a known name": (
        _sign(lambda claims: scripted.signed(claims, kid="hidden", shown_as="one")), (401, "token-signature"),
    ),
    "claims changed after signing": (_sign(_tampered), (401, "token-signature")),
    "no token at all": (_sign(lambda _: "garbage"), (401, "token-malformed")),
    "another state": (_answer(lambda answer: {**answer, "state": "x" * 43}), (401, "login-unknown")),
    "no state": (_answer(_without("state")), (401, "login-unknown")),
    "no code": (_answer(_without("code")), (401, "login-refused")),
    "a made-up code": (_answer(lambda answer: {**answer, "code": "made-up"}), (401, "code-refused")),
    "an error beside the code": (_answer(lambda answer: {**answer, "error": "access_denied"}), (401, "login-refused")),
    "no issuer beside the code": (_answer(_without("iss")), (401, "wrong-issuer")),
    "another issuer beside the code": (_answer(lambda a: {**a, "iss": "https://evil.example"}), (401, "wrong-issuer")),
}  # fmt: skip


@pytest.mark.parametrize("case", MISBEHAVIOUR)
async def test_a_provider_that_misbehaves_gets_nobody_in(town: Town, case: str) -> None:
    script, expected = MISBEHAVIOUR[case]
    script(town.citizens.script)
    assert problem(await town.world.log_in()) == expected
    assert problem(await town.world.session()) == (401, "not-logged-in")
    assert await town.world.sessions() == 0


async def test_an_issuer_that_does_not_announce_itself_need_not_name_itself_but_may_not_lie(town: Town) -> None:
    town.citizens.script.metadata = {"authorization_response_iss_parameter_supported": False}
    town.citizens.script.answer = lambda answer: {**answer, "iss": "https://evil.example"}
    assert problem(await town.world.log_in()) == (401, "wrong-issuer")
    town.citizens.script.answer = _without("iss")
    assert (await town.world.log_in()).status_code == 303


async def test_an_answer_counts_once_even_where_the_provider_takes_the_code_twice(town: Town) -> None:
    town.citizens.script.codes_last = True
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    back = (await town.world.http.get(begun.headers["location"])).headers["location"]
    browser = dict(town.world.http.cookies)
    assert (await town.world.http.get(back)).status_code == 303
    town.world.http.cookies.clear()
    town.world.http.cookies.update(browser)
    assert problem(await town.world.http.get(back)) == (401, "login-unknown")
    assert await town.world.sessions() == 1


async def test_two_answers_at_once_make_one_session(town: Town) -> None:
    town.citizens.script.codes_last = True
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    back = (await town.world.http.get(begun.headers["location"])).headers["location"]
    answers = await asyncio.gather(*(town.world.http.get(back) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303, 401, 401, 401, 401]
    assert await town.world.sessions() == 1


async def test_nobody_can_be_made_to_log_in_as_somebody_else(town: Town) -> None:
    """Login CSRF: the attacker's own good answer, in the browser of another, who has begun a login too or has not."""
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    attackers = (await town.world.http.get(begun.headers["location"])).headers["location"]
    async with httpx.AsyncClient(base_url=town.world.url, trust_env=False) as victim:
        assert problem(await victim.get(attackers)) == (401, "login-unknown")
        await victim.get("/login", params={"as": "citizen"})
        assert problem(await victim.get(attackers)) == (401, "login-unknown")
        assert "samlogg" not in victim.cookies
    assert await town.world.sessions() == 0


async def test_two_tabs_can_log_in_at_the_same_time(town: Town) -> None:
    tabs = [await town.world.http.get("/login", params={"as": "citizen", "next": f"/{i}"}) for i in range(2)]
    backs = [(await town.world.http.get(tab.headers["location"])).headers["location"] for tab in tabs]
    browser = town.world.http.cookies["samlogg-login"]
    first = await town.world.http.get(backs[0])
    town.world.http.cookies.set("samlogg-login", browser, domain="localhost.local")
    second = await town.world.http.get(backs[1], headers={"Cookie": f"samlogg-login={browser}"})
    assert [first.headers["location"], second.headers["location"]] == ["/0", "/1"]


async def test_a_login_that_takes_too_long_begins_again(town: Town) -> None:
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    back = (await town.world.http.get(begun.headers["location"])).headers["location"]
    town.world.clock.ahead = 601
    assert problem(await town.world.http.get(back)) == (401, "login-unknown")


async def test_an_answer_that_says_something_twice_is_refused(town: Town) -> None:
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    back = (await town.world.http.get(begun.headers["location"])).headers["location"]
    assert problem(await town.world.http.get(back + "&state=another")) == (400, "login-ambiguous")
    assert (await town.world.http.get(back)).status_code == 303


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", ""])
async def test_a_login_never_leads_away_from_here(town: Town, path: str) -> None:
    answer = await town.world.log_in(next=path)
    assert problem(answer) == (400, "next-not-local")
    assert "evil" not in answer.text


@pytest.mark.requirement("X1")
async def test_who_asks_for_substantial_gets_a_session_that_says_so(town: Town) -> None:
    assert (await town.world.log_in(assurance="substantial")).status_code == 303
    assert (await town.world.session()).json()["assurance"] == "substantial"
    assert problem(await town.world.http.get("/me")) == (403, "low-assurance")


async def test_rotated_keys_are_found_with_one_question_and_old_ones_stop_counting(town: Town) -> None:
    await town.world.log_in()
    assert town.citizens.script.asked_for_keys == 1
    town.world.clock.ahead += 30
    town.citizens.script.shown = ("two",)
    town.citizens.script.sign = lambda claims: scripted.signed({**claims, **_ahead(town)}, kid="two")
    assert (await town.world.log_in()).status_code == 303
    assert town.citizens.script.asked_for_keys == 2
    town.citizens.script.sign = lambda claims: scripted.signed({**claims, **_ahead(town)}, kid="one")
    assert problem(await town.world.log_in()) == (401, "token-key-unknown")
    for _ in range(5):
        assert problem(await town.world.log_in()) == (401, "token-key-unknown")
    assert town.citizens.script.asked_for_keys == 2, "unknown keys must not make us ask again and again"


def _ahead(town: Town) -> dict[str, int]:
    now = int(town.world.clock.now())
    return {"iat": now, "exp": now + 120}


async def test_keys_that_were_taken_away_stop_counting_when_the_keys_are_next_asked_for(town: Town) -> None:
    await town.world.log_in()
    town.citizens.script.shown = ("two",)
    town.world.clock.ahead += 601
    town.citizens.script.sign = lambda claims: scripted.signed({**claims, **_ahead(town)}, kid="one")
    assert problem(await town.world.log_in()) == (401, "token-key-unknown")


async def test_a_short_or_symmetric_key_of_the_provider_is_not_used(town: Town) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = RSAKey.generate_key(1024, {"kid": "short"})
    town.citizens.script.metadata = {"jwks_uri": f"{town.staff.url}/jwks"}
    shown = {"keys": [short.as_dict(private=False), {"kty": "oct", "kid": "secret", "k": "AAAA"}, {"kty": "RSA"}]}
    from gateway.handlers.identity import published

    with pytest.raises(ValueError, match="no key"):
        published.keys(shown)
    shown["keys"].append(key("one").as_dict(private=False))
    assert list(published.keys(shown)) == ["one"]


async def test_a_provider_that_calls_itself_something_else_is_not_asked_anything(town: Town) -> None:
    town.citizens.script.metadata = {"issuer": "https://evil.example"}
    assert problem(await town.world.log_in()) == (503, "provider-unreachable")


async def test_a_provider_that_is_down_is_told_with_503_and_comes_back(town: Town) -> None:
    town.citizens.script.broken = True
    answer = await town.world.log_in()
    assert problem(answer) == (503, "provider-unreachable")
    assert int(answer.headers["retry-after"]) >= 1
    town.citizens.script.broken = False
    town.world.clock.ahead += 2
    town.citizens.script.sign = lambda claims: scripted.signed({**claims, **_ahead(town)})
    assert (await town.world.log_in()).status_code == 303


async def test_known_keys_count_on_while_the_provider_is_away(town: Town) -> None:
    await town.world.log_in()
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    town.world.clock.ahead += 3600
    town.citizens.script.broken = True
    begun = await town.world.http.get("/login", params={"as": "citizen"})
    assert begun.status_code == 303
    town.world.clock.ahead += 90_000
    assert problem(await town.world.http.get("/login", params={"as": "citizen"})) == (503, "provider-unreachable")


async def test_a_new_login_ends_the_session_that_the_browser_had(town: Town) -> None:
    await town.world.log_in()
    old = town.world.http.cookies["samlogg"]
    await town.world.log_in()
    assert town.world.http.cookies["samlogg"] != old
    assert await town.world.sessions() == 1
    async with httpx.AsyncClient(base_url=town.world.url, trust_env=False, cookies={"samlogg": old}) as other:
        assert problem(await other.get("/session")) == (401, "session-ended")


async def test_a_cookie_chosen_by_somebody_else_never_becomes_a_session(town: Town) -> None:
    """Session fixation: what the browser brought is not what it is logged in under."""
    town.world.http.cookies.set("samlogg", "chosen-by-the-attacker", domain="localhost.local", path="/")
    done = await town.world.log_in()
    assert "chosen-by-the-attacker" not in done.headers["set-cookie"]
    async with httpx.AsyncClient(base_url=town.world.url, trust_env=False) as attacker:
        answer = await attacker.get("/session", headers={"Cookie": "samlogg=chosen-by-the-attacker"})
        assert problem(answer) == (401, "session-ended")


async def test_a_signed_assertion_takes_the_secrets_place(engine: AsyncEngine) -> None:
    mine = RSAKey.generate_key(2048, {"kid": "mine"})
    secret = SecretStr(json.dumps(mine.as_dict(private=True)))
    async with (
        scripted_provider() as citizens,
        world(engine, {"citizen": citizens}, client_secret=None, client_key=secret) as replica,
    ):  # fmt: skip
        citizens.script.claims = {"pid": YOUTH_NUMBER}
        assert (await replica.log_in()).status_code == 303
        (request,) = citizens.script.token_requests
    assert request["authorization"] == ""
    assert request["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    found = jws.deserialize_compact(request["client_assertion"], mine, algorithms=["RS256"])
    claims = json.loads(found.payload)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, citizens.url)
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert found.headers()["kid"] == "mine"


async def test_the_secret_goes_in_the_form_where_the_provider_takes_it_only_there(engine: AsyncEngine) -> None:
    async with scripted_provider() as citizens, world(engine, {"citizen": citizens}) as replica:
        citizens.script.claims = {"pid": YOUTH_NUMBER}
        citizens.script.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert (await replica.log_in()).status_code == 303
        (request,) = citizens.script.token_requests
    assert (request["authorization"], request["client_secret"]) == ("", "a-client-secret")


async def test_a_login_begun_at_one_replica_is_finished_at_another(engine: AsyncEngine) -> None:
    async with scripted_provider() as citizens:
        citizens.script.claims = {"pid": YOUTH_NUMBER}
        shared: dict[str, Any] = {"directory": Directory(), "clock": Clock()}
        async with (
            world(engine, {"citizen": citizens}, **shared) as first,
            world(engine, {"citizen": citizens}, **shared, public_url=first.url) as second,
        ):
            begun = await first.http.get("/login", params={"as": "citizen"})
            back = (await first.http.get(begun.headers["location"])).headers["location"]
            query = urlsplit(back).query
            cookie = f"samlogg-login={first.http.cookies['samlogg-login']}"
            done = await second.http.get(f"/callback?{query}", headers={"Cookie": cookie})
            assert done.status_code == 303


async def test_what_is_over_is_swept_out(town: Town) -> None:
    await town.world.log_in()
    await town.world.http.get("/login", params={"as": "citizen"})
    town.world.http.cookies.clear()
    town.world.clock.ahead = 9 * 3600
    town.citizens.script.sign = lambda claims: scripted.signed({**claims, **_ahead(town)})
    await town.world.log_in()
    assert await town.world.sessions() == 1
    async with town.world.engine.connect() as conn:
        left = (await conn.exec_driver_sql("SELECT count(*) FROM login_attempt")).scalar_one()
    assert left == 0


async def test_many_logins_at_once_do_not_stand_in_each_others_way(town: Town) -> None:
    """Each sweeps out what is over; none may wait for another's rows in the other order."""
    async with town.world.engine.begin() as conn:
        await conn.exec_driver_sql(
            "INSERT INTO session SELECT decode(md5(i::text), 'hex'), 'citizen', NULL, NULL, 'high',"
            " now() - '1 day'::interval, now() - '1 day'::interval, now() - '16 hours'::interval"
            " FROM generate_series(1, 300) AS i"
        )

    async def browser() -> int:
        async with httpx.AsyncClient(base_url=town.world.url, trust_env=False, timeout=20) as http:
            begun = await http.get("/login", params={"as": "citizen"})
            back = await http.get(begun.headers["location"])
            return (await http.get(back.headers["location"])).status_code

    assert {*await asyncio.gather(*(browser() for _ in range(12)))} == {303}
    assert await town.world.sessions() == 12
