"""The checks on a token's claims, one matrix for each kind of token. No I/O: time and names are arguments."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import identity as model
from gateway.model.identity import ASSURANCES, Assurance, Kind, Reason, TokenRefused, Verified
from tests.gateway.identity_world import IDENTITY_KEY, REAL_SHAPED_NUMBER, YOUTH_NUMBER

NOW = 1_800_000_000.0
ISSUER, CLIENT, NONCE, AUDIENCE = "https://idporten.no", "client", "n" * 43, "https://samlogg.no/api"
GONE: Any = object()
"""Takes the claim out."""

ID_TOKEN = {
    "iss": ISSUER, "aud": CLIENT, "sub": "s", "nonce": NONCE, "iat": NOW, "exp": NOW + 120, "pid": YOUTH_NUMBER,
    "acr": "idporten-loa-high",
}  # fmt: skip
MACHINE = {
    "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 120, "scope": "samlogg",
    "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
}  # fmt: skip


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not GONE}


def id_token(kind: Kind = "citizen", **changes: Any) -> Verified:
    return model.id_token(
        changed(ID_TOKEN, changes), kind=kind, issuer=ISSUER, client=CLIENT, nonce=NONCE, started=NOW - 60, now=NOW
    )


def bearer(kind: Kind, claims: dict[str, Any], **changes: Any) -> Verified:
    return model.access_token(changed(claims, changes), kind=kind, issuer=ISSUER, audience=AUDIENCE, now=NOW)


BAD_TIMES: list[tuple[dict[str, Any], Reason]] = [
    ({"exp": NOW - 11}, "token-expired"),
    ({"exp": NOW - 3600, "iat": NOW - 7200}, "token-expired"),
    ({"exp": GONE}, "token-malformed"),
    ({"exp": str(NOW + 60)}, "token-malformed"),
    ({"exp": math.nan}, "token-malformed"),
    ({"exp": math.inf}, "token-malformed"),
    ({"exp": True}, "token-malformed"),
    ({"exp": None}, "token-malformed"),
    ({"iat": GONE}, "token-malformed"),
    ({"iat": NOW + 11}, "token-not-yet-valid"),
    ({"nbf": NOW + 11}, "token-not-yet-valid"),
    ({"nbf": "soon"}, "token-malformed"),
]
BAD_ISSUERS: list[tuple[dict[str, Any], Reason]] = [
    ({"iss": "https://ansattporten.no"}, "wrong-issuer"),
    ({"iss": ISSUER + "/"}, "wrong-issuer"),
    ({"iss": ISSUER.upper()}, "wrong-issuer"),
    ({"iss": [ISSUER]}, "wrong-issuer"),
    ({"iss": GONE}, "wrong-issuer"),
]
BAD_ASSURANCE: list[tuple[dict[str, Any], Reason]] = [
    ({"acr": GONE}, "low-assurance"),
    ({"acr": ""}, "low-assurance"),
    ({"acr": None}, "low-assurance"),
    ({"acr": 4}, "low-assurance"),
    ({"acr": ["idporten-loa-high"]}, "low-assurance"),
    ({"acr": "idporten-loa-low"}, "low-assurance"),
    ({"acr": "high"}, "low-assurance"),
    ({"acr": "IDPORTEN-LOA-HIGH"}, "low-assurance"),
    ({"acr": "anything-loa-high"}, "low-assurance"),
]
BAD_ID_TOKENS: list[tuple[dict[str, Any], Reason]] = [
    *BAD_TIMES, *BAD_ISSUERS, *BAD_ASSURANCE,
    ({"iat": NOW - 71}, "token-too-old"),
    ({"aud": "another"}, "wrong-audience"),
    ({"aud": AUDIENCE}, "wrong-audience"),
    ({"aud": [CLIENT, "another"], "azp": CLIENT}, "wrong-audience"),
    ({"aud": []}, "wrong-audience"),
    ({"aud": [CLIENT, 1]}, "wrong-audience"),
    ({"aud": {CLIENT: 1}}, "wrong-audience"),
    ({"aud": GONE}, "wrong-audience"),
    ({"azp": "another"}, "wrong-party"),
    ({"azp": None}, "wrong-party"),
    ({"nonce": "m" * 43}, "wrong-nonce"),
    ({"nonce": NONCE + "x"}, "wrong-nonce"),
    ({"nonce": ""}, "wrong-nonce"),
    ({"nonce": "æ"}, "wrong-nonce"),
    ({"nonce": GONE}, "wrong-nonce"),
    ({"sub": GONE}, "token-malformed"),
    ({"sub": ""}, "token-malformed"),
    ({"sub": "s" * 256}, "token-malformed"),
    ({"pid": 20914695016}, "token-malformed"),
]  # fmt: skip
BAD_MACHINES: list[tuple[dict[str, Any], Reason]] = [
    *BAD_TIMES, *BAD_ISSUERS,
    ({"aud": "https://somebody-else.no"}, "wrong-audience"),
    ({"aud": "unspecified"}, "wrong-audience"),
    ({"aud": GONE}, "wrong-audience"),
    ({"scope": GONE}, "missing-scope"),
    ({"scope": "samloggen other"}, "missing-scope"),
    ({"scope": ["samlogg"]}, "missing-scope"),
    ({"consumer": GONE}, "unknown-organisation"),
    ({"consumer": "0192:991825827"}, "unknown-organisation"),
    ({"consumer": {"ID": "991825827"}}, "unknown-organisation"),
    ({"consumer": {"ID": "0192:99182582"}}, "unknown-organisation"),
    ({"consumer": {"ID": "0192:9918258270"}}, "unknown-organisation"),
    ({"consumer": {"ID": "0192:991825827\n"}}, "unknown-organisation"),
    ({"consumer": {"ID": "0192:99182582\u0667"}}, "unknown-organisation"),
    ({"consumer": {"ID": ["0192:991825827"]}}, "unknown-organisation"),
    ({"consumer": {"authority": "another", "ID": "0192:991825827"}}, "unknown-organisation"),
]  # fmt: skip
BAD_BEARERS: list[tuple[dict[str, Any], Reason]] = [
    *BAD_TIMES, *BAD_ISSUERS, *BAD_ASSURANCE,
    ({"aud": CLIENT}, "wrong-audience"),
    ({"aud": [CLIENT]}, "wrong-audience"),
    ({"aud": GONE}, "wrong-audience"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), BAD_ID_TOKENS)
def test_an_id_token_that_was_not_made_for_this_login_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(TokenRefused) as refused:
        id_token(**changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("changes", "reason"), BAD_BEARERS)
def test_an_apps_token_that_was_not_made_for_us_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(TokenRefused) as refused:
        bearer("citizen", ID_TOKEN, **{"aud": AUDIENCE, **changes})
    assert refused.value.reason == reason


@pytest.mark.parametrize(("changes", "reason"), BAD_MACHINES)
def test_a_machines_token_without_reach_or_organisation_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(TokenRefused) as refused:
        bearer("machine", MACHINE, **changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "changes",
    [{}, {"aud": [CLIENT]}, {"azp": CLIENT}, {"exp": NOW - 9}, {"iat": NOW + 9}, {"iat": NOW - 69}, {"nbf": NOW - 1},
     {"acr": "idporten-loa-substantial"}, {"pid": GONE}],
)  # fmt: skip
def test_a_good_id_token_is_taken_and_clocks_may_differ_a_little(changes: dict[str, Any]) -> None:
    found = id_token(**changes)
    assert found.subject == "s"
    assert found.national_id == changed(ID_TOKEN, changes).get("pid")


def test_a_machine_is_its_organisation_and_a_pid_in_its_token_is_nobody() -> None:
    found = bearer("machine", MACHINE, pid=YOUTH_NUMBER, scope="other samlogg", aud=["x", AUDIENCE])
    assert (found.organisation, found.national_id, found.subject) == ("991825827", None, "")


def test_a_staff_token_brings_no_national_id() -> None:
    assert id_token("staff", acr="high").national_id is None


def test_assurance_is_read_in_the_issuers_own_words_and_ordered() -> None:
    assert id_token("staff", acr="substantial").assurance < id_token("citizen").assurance == Assurance.high
    for kind, words in ASSURANCES.items():
        other: Kind = "staff" if kind == "citizen" else "citizen"
        for word in words:
            with pytest.raises(TokenRefused):
                id_token(other, acr=word)


def test_what_a_token_proved_shows_no_national_id_when_it_is_printed() -> None:
    assert YOUTH_NUMBER not in repr(id_token())


@pytest.mark.parametrize("number", [YOUTH_NUMBER, "45840375084", "47906701517", "01661200000", "71771200000"])
def test_synthetic_people_are_for_synthetic_installations_only(number: str) -> None:
    assert model.national_id(number, synthetic=True) == number
    with pytest.raises(TokenRefused, match="national-id-refused"):
        model.national_id(number, synthetic=False)


def test_real_people_are_for_production_only() -> None:
    assert model.national_id(REAL_SHAPED_NUMBER, synthetic=False) == REAL_SHAPED_NUMBER
    with pytest.raises(TokenRefused, match="national-id-refused"):
        model.national_id(REAL_SHAPED_NUMBER, synthetic=True)


def test_what_may_be_an_h_number_or_a_test_number_is_read_by_the_kind_of_installation() -> None:
    for number in ("01411200000", "31521200000"):
        for synthetic in (True, False):
            assert model.national_id(number, synthetic=synthetic) == number
    for month in ("40", "53", "65", "78", "80", "93", "12"):
        with pytest.raises(TokenRefused):
            model.national_id(f"01{month}1200000", synthetic=True)


@pytest.mark.parametrize("number", ["", "2091469501", "209146950166", "2091469501x", "20914695016\n", "20 91469501"])
@pytest.mark.parametrize("synthetic", [True, False])
def test_what_is_no_national_id_is_refused(number: str, synthetic: bool) -> None:
    with pytest.raises(TokenRefused):
        model.national_id(number, synthetic=synthetic)


def test_a_login_is_known_by_a_keyed_hash_of_issuer_and_subject() -> None:
    """The very bytes that `directory` computes when an invitation is redeemed (contract of directory.state.v1)."""
    import hashlib
    import hmac

    expected = hmac.new(IDENTITY_KEY, b"https://ansattporten.no|abc", hashlib.sha256).hexdigest()
    assert model.login_hash(IDENTITY_KEY, "https://ansattporten.no", "abc") == expected


@pytest.mark.parametrize("path", ["/", "/log", "/log?a=1&b=%2F", "/a//b", "/login#here", "/a:b@c"])
def test_a_path_of_ours_is_gone_on_to(path: str) -> None:
    assert model.local_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "log", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
     "https:/evil.example", "javascript:alert(1)", "/ evil", "/\tevil", "/\nx", "/\r\nSet-Cookie: a=b", "/\x00", "/æ",
     "/\u2028", "/" + "a" * 512],
)  # fmt: skip
def test_a_path_that_could_lead_away_is_not(path: str) -> None:
    assert model.local_path(path) is None


@given(st.text(max_size=40))
def test_no_path_that_is_gone_on_to_names_a_host(path: str) -> None:
    found = model.local_path(path)
    assert found is None or (found[0] == "/" and found[1:2] not in ("/", "\\"))


ANYTHING = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3))


@given(st.dictionaries(st.sampled_from([*ID_TOKEN, *MACHINE, "azp", "nbf"]), ANYTHING))
def test_claims_of_any_shape_are_either_proven_or_refused(claims: dict[str, Any]) -> None:
    for kind, base in (("citizen", ID_TOKEN), ("machine", MACHINE)):
        try:
            bearer(kind, base, **{"aud": AUDIENCE, **claims})  # type: ignore[arg-type]
        except TokenRefused:
            continue
