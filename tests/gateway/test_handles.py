"""Handles: reversible for us, another name for each audience, and nothing to learn from one that is not yours."""

import base64
import statistics
import time
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.handles import Handles, agency_audience, person_audience, staff_audience

KEY = b"k" * 32
SCHOOL, POLICE = agency_audience("oslo-school"), agency_audience("police")
YOUTH = person_audience("4f1c1c0e-51c4-4f0c-9a57-1d4f4a0c7d11")


def _as_handle(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(st.uuids())
def test_a_handle_leads_back_to_its_subject_for_its_own_audience(subject: UUID) -> None:
    handles = Handles(KEY)
    handle = handles.to_handle(SCHOOL, str(subject))
    assert handles.subject_of(SCHOOL, handle) == str(subject)
    assert len(handle) == 43


def test_a_subject_has_the_same_handle_in_every_process_and_another_for_every_audience() -> None:
    subject = str(uuid4())
    audiences = [SCHOOL, POLICE, YOUTH, staff_audience("oslo-school"), person_audience("oslo-school")]
    first = [Handles(KEY).to_handle(audience, subject) for audience in audiences]
    assert first == [Handles(KEY).to_handle(audience, subject) for audience in audiences]
    assert len(set(first)) == len(audiences)


def test_another_audiences_handle_means_nothing() -> None:
    handles = Handles(KEY)
    handle = handles.to_handle(SCHOOL, str(uuid4()))
    assert handles.subject_of(POLICE, handle) is None
    assert handles.subject_of(YOUTH, handle) is None
    assert Handles(b"x" * 32).subject_of(SCHOOL, handle) is None


def test_an_event_and_a_subject_never_share_a_handle() -> None:
    handles, same = Handles(KEY), str(uuid4())
    event = handles.to_handle(POLICE, same, "event")
    assert event != handles.to_handle(POLICE, same)
    assert handles.subject_of(POLICE, event) is None
    assert handles.subject_of(POLICE, event, "event") == same


def test_a_handle_shows_nothing_of_the_subject() -> None:
    subject = uuid4()
    raw = base64.urlsafe_b64decode(Handles(KEY).to_handle(SCHOOL, str(subject)) + "=")
    assert subject.bytes not in raw
    assert all(piece not in raw for piece in (subject.bytes[:4], subject.bytes[-4:]))


def test_a_handle_has_one_spelling_only() -> None:
    handles, subject = Handles(KEY), str(uuid4())
    handle = handles.to_handle(SCHOOL, subject)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [handle[:-1] + letter for letter in last if letter != handle[-1]]
    meant = base64.urlsafe_b64decode(handle + "=")
    respelt = [other for other in others if base64.urlsafe_b64decode(other + "=") == meant]
    assert respelt, "base64 has more than one spelling of these bytes"
    for other in [*respelt, handle + "=", handle.replace("-", "+").replace("_", "/") + " ", f" {handle}"]:
        assert handles.subject_of(SCHOOL, other) is None


@given(st.text(max_size=60) | st.binary(min_size=32, max_size=32).map(_as_handle))
def test_garbage_means_nothing(garbage: str) -> None:
    assert Handles(KEY).subject_of(SCHOOL, garbage) is None


def test_a_handle_is_only_made_of_an_id() -> None:
    with pytest.raises(ValueError, match="UUID"):
        Handles(KEY).to_handle(SCHOOL, "nobody")


def test_audiences_are_told_apart_whatever_their_names() -> None:
    assert len({agency_audience("x"), person_audience("x"), staff_audience("x")}) == 3


def test_garbage_and_foreign_handles_take_as_long_as_ones_own() -> None:
    """Medians of interleaved calls, within what a shared machine can keep; a short cut would be far outside."""
    handles = Handles(KEY)
    own, foreign = handles.to_handle(SCHOOL, str(uuid4())), handles.to_handle(POLICE, str(uuid4()))
    asked = {"own": own, "foreign": foreign, "short": "x", "not base64": "*" * 43, "long": "A" * 400}
    times: dict[str, list[int]] = {name: [] for name in asked}
    for _ in range(3000):
        for name, handle in asked.items():
            began = time.perf_counter_ns()
            handles.subject_of(SCHOOL, handle)
            times[name].append(time.perf_counter_ns() - began)
    medians = {name: statistics.median(found) for name, found in times.items()}
    assert max(medians.values()) < 2.5 * min(medians.values()), medians
