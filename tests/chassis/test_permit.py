"""The signed request: it fits exactly one request, ends soon, and carries the permit as it was decided."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import OctKey

from chassis.permit import LONGEST_SECONDS, Actor, Cell, Permit, Signed, sign, verify
from chassis.problems import Problem

KEY, OTHER = OctKey.import_key(b"k" * 32), OctKey.import_key(b"o" * 32)
ACTOR = Actor("staff", "staff-1", ("school",), "professional", "education", "high")
PERMIT = Permit("subject-1", "read", "follow-up", (Cell("school", "g1", None), Cell("leisure", "g2", 500)))
ASKED: dict[str, Any] = {
    "audience": "logbook",
    "method": "GET",
    "path": "/subjects/subject-1/items?limit=3",
    "body": b"",
}


def signed(**more: Any) -> str:
    given = {"key": KEY, "actor": ACTOR, "subject": "subject-1", "route": "logbook.items", "permit": PERMIT,
             "record": "r1", "now": 1000.0, **ASKED, **more}  # fmt: skip
    return sign(given.pop("key"), **given)


def test_what_was_signed_comes_back_whole() -> None:
    found = verify(signed(), KEY, now=1001.0, **ASKED)
    assert found == Signed(ACTOR, "subject-1", "logbook.items", "r1", PERMIT, 1000.0 + LONGEST_SECONDS)
    masked = replace(PERMIT, masked=True)
    assert verify(signed(permit=masked), KEY, now=1001.0, **ASKED).permit == masked


@pytest.mark.parametrize(
    "other",
    [
        {"audience": "consent"}, {"method": "POST"}, {"path": "/subjects/subject-2/items?limit=3"},
        {"path": "/subjects/subject-1/items"}, {"body": b"{}"}, {"now": 1005.0}, {"key": OTHER},
    ],
)  # fmt: skip
def test_a_signature_fits_no_other_request_and_no_other_time(other: dict[str, Any]) -> None:
    given: dict[str, Any] = {"key": KEY, "now": 1001.0, **ASKED, **other}
    with pytest.raises(Problem) as refused:
        verify(signed(), given.pop("key"), **given)
    assert (refused.value.status, refused.value.slug) == (401, "not-signed")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_garbage_and_unsigned_tokens_are_refused(token: str) -> None:
    with pytest.raises(Problem):
        verify(token, KEY, now=1001.0, **ASKED)


def test_nothing_is_signed_for_longer_than_a_lease() -> None:
    assert verify(signed(seconds=3600.0), KEY, now=1001.0, **ASKED).expires == 1000.0 + LONGEST_SECONDS


def test_a_permit_allows_its_categories_from_its_date_back() -> None:
    assert PERMIT.allows("school")
    assert not PERMIT.allows("health")
    assert PERMIT.allows("leisure", datetime.fromtimestamp(500, UTC))
    assert not PERMIT.allows("leisure", datetime.fromtimestamp(499, UTC))


def test_a_request_without_a_permit_reaches_no_content() -> None:
    found = replace(verify(signed(permit=None), KEY, now=1001.0, **ASKED))
    assert found.permit is None
    with pytest.raises(Problem) as refused:
        found.content()
    assert refused.value.status == 404
