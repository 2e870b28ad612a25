"""When an invitation binds a login, and which keys an attachment may bring."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from directory import model
from directory.model.attachments import Attachment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
INVITATION = model.Invitation("staff", NOW + timedelta(days=1), None)
BY = model.Redeemer("staff", "high", "ab" * 32, None)


def _reason(invitation: model.Invitation | None, by: model.Redeemer, *, open_: bool = True) -> str:
    with pytest.raises(model.InvitationRefused) as refused:
        model.redeemed(invitation, open_=open_, by=by, now=NOW)
    return refused.value.reason


def test_an_open_invitation_binds_the_login() -> None:
    assert model.redeemed(INVITATION, open_=True, by=BY, now=NOW) == BY.login


def test_unknown_used_expired_and_closed_invitations_cannot_be_told_apart() -> None:
    used, expired = replace(INVITATION, redeemed=NOW), replace(INVITATION, expires=NOW)
    assert {_reason(None, BY), _reason(used, BY), _reason(expired, BY), _reason(INVITATION, BY, open_=False)} == {
        "not-valid"
    }


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        (replace(BY, kind="person"), "not-valid"), (replace(BY, kind="machine"), "not-valid"),
        (replace(BY, login=None), "not-valid"), (replace(BY, assurance="substantial"), "assurance-too-low"),
        (replace(BY, bound="somebody"), "already-bound"),
    ],
)  # fmt: skip
def test_only_an_unbound_staff_login_of_high_assurance_is_bound(by: model.Redeemer, reason: str) -> None:
    assert _reason(INVITATION, by) == reason


def _wrong(key: dict[str, Any]) -> str:
    with pytest.raises(model.Refused) as refused:
        model.fitting_key(key)
    return refused.value.findings[0].what


def test_a_key_keeps_its_public_members_only(public_key: dict[str, Any]) -> None:
    kept = model.fitting_key({**public_key, "kid": "kari-nordmann"})
    assert kept == {"kty": "RSA", "n": public_key["n"], "e": public_key["e"], "alg": "RSA-OAEP-256", "use": "enc"}


def test_a_private_a_short_and_an_odd_key_are_refused(public_key: dict[str, Any]) -> None:
    whole = {name: str(value) for name, value in RSAKey.generate_key(2048, private=True).as_dict(private=True).items()}
    assert _wrong(whole) == "private-key"
    short = base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("=")
    assert _wrong({**public_key, "n": short}) == "key-too-weak"
    assert _wrong({**public_key, "e": "Aw"}) == "key-too-weak"
    assert _wrong({**public_key, "kty": "EC"}) == "not-for-sealing"
    assert _wrong({**public_key, "use": "sig"}) == "not-for-sealing"


def test_only_the_agencys_own_services_are_attached() -> None:
    asked = Attachment("police", ("prevention",), "opaque", {}, ("listen",))
    assert model.opened(asked, {"prevention": "police"}) == asked
    for wrong in (
        replace(asked, services=("school",)), replace(asked, services=()), replace(asked, ports=("answer",)),
        replace(asked, ports=()), replace(asked, services=("prevention", "prevention")),
    ):  # fmt: skip
        with pytest.raises(model.Refused):
            model.opened(wrong, {"prevention": "police", "school": "education"})
