"""Settings that could let somebody in who should be out stop the start, with one clear sentence."""

from typing import Any

import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretBytes, SecretStr

from gateway.handlers.identity import Unsafe, refuse_unsafe, rules
from tests.gateway.identity_world import SESSION_KEY, TestSettings

PRODUCTION: dict[str, Any] = {
    "mode": "production", "public_url": "https://samlogg.oslo.kommune.no", "issuer_citizen": "https://idporten.no",
    "issuer_staff": "https://ansattporten.no", "issuer_machine": "https://maskinporten.no/",
}  # fmt: skip
SHORT_KEY = RSAKey.generate_key(2048).as_dict(private=False)


@pytest.mark.parametrize(
    "settings", [{}, PRODUCTION, {"public_url": "https://samlogg.test.example"}, {"public_url": "http://[::1]:80"}]
)
def test_safe_settings_start(settings: dict[str, Any]) -> None:
    refuse_unsafe(TestSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"handle_key": SecretBytes(b"")}, "SAMLOGG_HANDLE_KEY"),
        ({"session_key": SecretBytes(b"short")}, "SAMLOGG_SESSION_KEY"),
        ({"identity_key": SecretBytes(bytes(32))}, "SAMLOGG_IDENTITY_KEY"),
        ({"identity_key": SecretBytes(SESSION_KEY)}, "SAMLOGG_IDENTITY_KEY"),
        ({"client_secret": None}, "SAMLOGG_CLIENT_SECRET"),
        ({"client_secret": SecretStr("")}, "SAMLOGG_CLIENT_SECRET"),
        ({"client_id": " "}, "SAMLOGG_CLIENT_ID"),
        ({"client_id_staff": "x"}, "SAMLOGG_CLIENT_SECRET_STAFF"),
        ({"client_secret": None, "client_key": SecretStr("no key")}, "SAMLOGG_CLIENT_KEY"),
        ({"client_key": SecretStr(str(SHORT_KEY).replace("'", '"'))}, "SAMLOGG_CLIENT_KEY"),
        ({"audience": ""}, "SAMLOGG_AUDIENCE"),
        ({"audience": "samlogg-client"}, "SAMLOGG_AUDIENCE"),
        ({"public_url": "http://samlogg.example"}, "SAMLOGG_PUBLIC_URL"),
        ({"public_url": "http://192.168.1.4:8000"}, "SAMLOGG_PUBLIC_URL"),
        ({"public_url": "http://localhost.evil.example"}, "SAMLOGG_PUBLIC_URL"),
        ({"public_url": "ftp://localhost"}, "SAMLOGG_PUBLIC_URL"),
        ({"public_url": "https://samlogg.example/under"}, "SAMLOGG_PUBLIC_URL"),
        ({"public_url": ""}, "SAMLOGG_PUBLIC_URL"),
        ({"issuer_staff": "http://127.0.0.1:1/citizen/"}, "SAMLOGG_ISSUER"),
        ({"issuer_citizen": "https://idporten.no"}, "SAMLOGG_ISSUER_CITIZEN"),
        ({"issuer_machine": ""}, "SAMLOGG_ISSUER_MACHINE"),
        ({**PRODUCTION, "public_url": "http://localhost:8000"}, "SAMLOGG_PUBLIC_URL"),
        ({**PRODUCTION, "issuer_citizen": "http://idporten.no"}, "SAMLOGG_ISSUER_CITIZEN"),
        ({**PRODUCTION, "issuer_citizen": "https://test.idporten.no"}, "SAMLOGG_ISSUER_CITIZEN"),
        ({**PRODUCTION, "issuer_staff": "https://test.ansattporten.no"}, "SAMLOGG_ISSUER_STAFF"),
        ({**PRODUCTION, "issuer_staff": "https://localhost/staff"}, "SAMLOGG_ISSUER_STAFF"),
        ({**PRODUCTION, "issuer_machine": "https://127.0.0.1/machine"}, "SAMLOGG_ISSUER_MACHINE"),
        ({**PRODUCTION, "issuer_machine": "https://mock-oauth2/machine"}, "SAMLOGG_ISSUER_MACHINE"),
    ],
)
def test_unsafe_settings_stop_the_start_with_one_sentence(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(Unsafe) as refused:
        refuse_unsafe(TestSettings(**settings))
    said = str(refused.value)
    assert named in said
    assert said.endswith(".")
    assert "\n" not in said
    assert "a-client-secret" not in said


def test_a_private_key_may_take_the_secrets_place() -> None:
    key = RSAKey.generate_key(2048, {"kid": "mine"})
    settings = TestSettings(client_secret=None, client_key=SecretStr(key.as_pem(private=True).decode()))
    refuse_unsafe(settings)
    client = rules(settings).clients["citizen"]
    assert client.key is not None
    assert client.key.is_private
    assert "PRIVATE" not in repr(client)


def test_cookies_are_bound_to_this_host_wherever_there_is_tls() -> None:
    assert rules(TestSettings(**PRODUCTION)).cookie == "__Host-samlogg"
    assert rules(TestSettings(public_url="https://localhost:8443")).cookie == "__Host-samlogg"
    assert rules(TestSettings()).cookie == "samlogg"


def test_no_secret_is_shown_when_the_rules_are_printed() -> None:
    shown = repr(rules(TestSettings()))
    assert "a-client-secret" not in shown
    assert repr(SESSION_KEY) not in shown
