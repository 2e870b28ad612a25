"""What a gateway takes from the state topics, what it refuses, and what it finds again."""

import json
from typing import Any

import pytest

from gateway.model.facts import CONTRIBUTE, READ, Entity, Facts, Grant, Request, SubjectState

STATE, ENTRY = "consent.state.v1", "directory.state.v1"
GRANT = {
    "id": "g1", "kind": "parental", "recipient": "person:mother", "categories": ["school", "leisure"],
    "actions": ["read", "contribute"], "purpose": "follow-up", "from": 10, "until": 90, "back": 5, "except": ["odd"],
}  # fmt: skip
REQUEST = {"id": "r1", "asker": "service:school", "asked": ["father", "youth"], "open": True}


def state(subject: str = "s", version: int = 1, **more: Any) -> bytes:
    return json.dumps(
        {"version": version, "subject": subject, "grants": [GRANT], "requests": [REQUEST], **more}
    ).encode()


def entry(kind: str, name: str, version: int = 1, **more: Any) -> bytes:
    return json.dumps({"version": version, "kind": kind, "id": name, **more}).encode()


def put(facts: Facts, kind: str, name: str, version: int = 1, **more: Any) -> bool:
    return facts.apply_entity(f"{kind}:{name}", version, ENTRY, entry(kind, name, version, **more))


def put_subject(facts: Facts, subject: str = "s", version: int = 1, **more: Any) -> bool:
    return facts.apply_subject(subject, version, STATE, state(subject, version, **more))


def test_a_state_is_held_as_it_was_published() -> None:
    facts = Facts()
    assert put_subject(facts, version=3)
    held = Grant(
        "g1", "parental", "person:mother", ("school", "leisure"), READ | CONTRIBUTE, "follow-up", 10, 90, 5, ("odd",)
    )
    request = Request("r1", "service:school", ("father", "youth"), True)
    assert facts.subjects == {"s": SubjectState(3, (held,), ("person:mother",), (request,))}
    assert facts.unreadable == 0


@pytest.mark.parametrize(
    ("actions", "mask"),
    [(["read"], READ), (["contribute"], CONTRIBUTE), ([], 0), (["delete"], 0), (["delete", "contribute"], CONTRIBUTE)],
)  # fmt: skip
def test_a_grant_allows_the_actions_that_it_names_and_an_unknown_one_allows_nothing(
    actions: list[str], mask: int
) -> None:
    facts = Facts()
    put_subject(facts, grants=[{**GRANT, "actions": actions}])
    assert facts.subjects["s"].grants[0].actions == mask


def test_only_a_newer_state_is_taken() -> None:
    facts = Facts()
    assert put_subject(facts, version=2)
    for version in (1, 2):
        assert not put_subject(facts, version=version, grants=[])
        assert facts.subjects["s"].recipients == ("person:mother",)
    assert put_subject(facts, version=3, grants=[])
    assert facts.subjects["s"] == SubjectState(
        3, requests=(Request("r1", "service:school", ("father", "youth"), True),)
    )


@pytest.mark.parametrize(
    ("version", "kind", "value"),
    [
        (2, STATE, state("another", 2)), (2, STATE, state("s", 3)), (None, STATE, state("s", 2)),
        (2, "consent.state.v2", state("s", 2)), (2, STATE, None), (2, STATE, b"XXXX"),
    ],
    ids=["another subject's", "another version than its header", "no version", "another type", "nothing", "no JSON"],
)  # fmt: skip
def test_a_state_that_is_not_what_it_says_closes_the_subject(
    version: int | None, kind: str, value: bytes | None
) -> None:
    facts = Facts()
    put_subject(facts)
    assert facts.apply_subject("s", version, kind, value)
    assert facts.subjects["s"] == SubjectState(version or 1, closed=True)
    assert facts.unreadable == 1
    assert facts.subjects_of(["person:mother", "service:school", "person:father"]) == set()


@pytest.mark.parametrize(
    ("held", "version", "kept"), [(5, 3, 5), (5, None, 5), (5, 7, 7), (None, 3, 3), (None, None, 0)]
)
def test_a_closed_subject_keeps_the_highest_version_that_was_seen(
    held: int | None, version: int | None, kept: int
) -> None:
    facts = Facts()
    if held is not None:
        put_subject(facts, version=held)
    facts.apply_subject("s", version, STATE, b"{")
    assert facts.subjects["s"] == SubjectState(kept, closed=True)
    assert not put_subject(facts, version=kept - 1)
    assert put_subject(facts, version=kept)
    assert not facts.subjects["s"].closed


def test_every_unreadable_record_is_counted() -> None:
    facts = Facts()
    for _ in range(2):
        facts.apply_subject("s", 1, STATE, b"{")
        facts.apply_entity("staff:one", 1, ENTRY, b"{")
    assert facts.unreadable == 4


def test_a_subject_is_found_by_each_recipient_asker_and_asked_and_lost_by_nobody_else() -> None:
    facts = Facts()
    for subject in ("s", "t"):
        put_subject(facts, subject)
    for who in ("person:mother", "service:school", "person:father", "person:youth"):
        assert facts.subjects_of([who]) == {"s", "t"}
    put_subject(facts, "s", 2, grants=[], requests=[])
    assert facts.subjects_of(["person:mother", "person:father"]) == {"t"}
    put_subject(facts, "u", requests=[{**REQUEST, "asker": "service:clinic"}], grants=[])
    assert facts.subjects_of(["service:clinic", "person:mother", "service:nobody"]) == {"t", "u"}


def test_a_subject_that_nobody_has_anything_to_do_with_takes_no_place_in_the_index() -> None:
    facts = Facts()
    put_subject(facts)
    put_subject(facts, version=2, grants=[], requests=[])
    assert facts._by_recipient == {}


def test_an_entry_of_the_directory_is_held_as_it_was_published() -> None:
    facts = Facts()
    assert put(facts, "staff", "anne", 4, services=["school"], role="leader", identity="hash")
    assert facts.directory == {
        "staff:anne": Entity(4, "staff", "anne", services=("school",), role="leader", identity="hash")
    }


def test_an_older_entry_is_ignored_and_the_same_version_may_come_again() -> None:
    facts = Facts()
    put(facts, "staff", "anne", 4, role="leader")
    assert not put(facts, "staff", "anne", 3, role="admin")
    assert facts.directory["staff:anne"].role == "leader"
    assert put(facts, "staff", "anne", 4, role="professional")
    assert facts.directory["staff:anne"].role == "professional"


@pytest.mark.parametrize(
    ("version", "kind", "value"),
    [
        (2, ENTRY, entry("staff", "bo:1", 2)), (2, ENTRY, entry("service", "anne:1", 2)),
        (2, ENTRY, entry("staff", "anne:1", 3)), (None, ENTRY, entry("staff", "anne:1", 2)),
        (2, "directory.state.v2", entry("staff", "anne:1", 2)), (2, ENTRY, None), (2, ENTRY, b"XXXX"),
    ],
    ids=[
        "another one's", "another kind", "another version than its header", "no version", "another type", "nothing",
        "no JSON",
    ],
)  # fmt: skip
def test_an_entry_that_is_not_what_it_says_is_held_as_inactive(
    version: int | None, kind: str, value: bytes | None
) -> None:
    facts = Facts()
    put(facts, "staff", "anne:1", identity="hash")
    assert facts.apply_entity("staff:anne:1", version, kind, value)
    assert facts.directory == {"staff:anne:1": Entity(version or 1, "staff", "anne:1", active=False)}
    assert facts.unreadable == 1
    assert facts.staff_by_identity("hash") is None


@pytest.mark.parametrize(
    ("held", "version", "kept"), [(5, 3, 5), (5, None, 5), (5, 7, 7), (None, 3, 3), (None, None, 0)]
)
def test_an_unreadable_entry_keeps_the_highest_version_that_was_seen(
    held: int | None, version: int | None, kept: int
) -> None:
    facts = Facts()
    if held is not None:
        put(facts, "staff", "anne", held)
    facts.apply_entity("staff:anne", version, ENTRY, b"{")
    assert facts.directory["staff:anne"] == Entity(kept, "staff", "anne", active=False)
    assert not put(facts, "staff", "anne", kept - 1)
    assert put(facts, "staff", "anne", kept)
    assert facts.directory["staff:anne"].active


def test_a_category_is_in_use_while_it_is_active() -> None:
    facts = Facts()
    assert facts.categories == {"looks", "grants"}
    put(facts, "category", "health")
    put(facts, "staff", "school")
    assert facts.categories == {"looks", "grants", "health"}
    put(facts, "category", "health", 2, active=False)
    assert facts.categories == {"looks", "grants"}
    put(facts, "category", "never-used", active=False)
    assert facts.categories == {"looks", "grants"}


def test_a_log_in_leads_to_the_member_of_staff_who_has_it_now() -> None:
    facts = Facts()
    put(facts, "staff", "anne", identity="hash")
    put(facts, "staff", "bo", identity="other")
    assert facts.staff_by_identity("hash") == facts.directory["staff:anne"]
    put(facts, "staff", "None")
    assert facts.staff_by_identity("nobody's") is None
    put(facts, "staff", "anne", 2, identity="new")
    assert facts.staff_by_identity("hash") is None
    assert facts.staff_by_identity("new") == facts.directory["staff:anne"]
    put(facts, "staff", "anne", 3, identity="new", active=False)
    assert facts.staff_by_identity("new") is None


def test_a_log_in_that_went_to_somebody_else_stays_there_when_the_first_one_changes() -> None:
    facts = Facts()
    put(facts, "staff", "anne", identity="hash")
    put(facts, "staff", "bo", identity="hash")
    put(facts, "staff", "anne", 2, active=False)
    assert facts.staff_by_identity("hash") == facts.directory["staff:bo"]


def test_agencies_and_attachments_are_found_while_they_are_active() -> None:
    facts = Facts()
    put(facts, "service", "decoy", orgnr="991825827", agency="a")
    put(facts, "agency", "old", orgnr="991825827", active=False)
    put(facts, "agency", "other", orgnr="313876144")
    put(facts, "agency", "a", orgnr="991825827")
    put(facts, "attachment", "m0", agency="a", active=False)
    put(facts, "attachment", "m1", agency="other")
    put(facts, "attachment", "m2", agency="a")
    assert facts.agency_by_orgnr("991825827") == facts.directory["agency:a"]
    assert facts.attachment_of("a") == facts.directory["attachment:m2"]
    assert facts.agency_by_orgnr("974760673") is None
    assert facts.attachment_of("old") is None
    assert [one.id for one in facts.entities("attachment")] == ["m0", "m1", "m2"]


def in_force() -> Facts:
    facts = Facts()
    put(facts, "agency", "a")
    put(facts, "agency", "closed", active=False)
    for name, agency in (("school", "a"), ("clinic", "a"), ("orphan", "nowhere"), ("shut", "closed")):
        put(facts, "service", name, agency=agency)
    put(facts, "service", "gone", agency="a", active=False)
    services = ["school", "clinic", "orphan", "shut", "gone", "unheard-of"]
    put(facts, "staff", "anne", services=services)
    put(facts, "staff", "left", services=services, active=False)
    put(facts, "attachment", "machine", services=["school"], agency="a")
    return facts


@pytest.mark.parametrize(
    ("kind", "actor", "recipients"),
    [
        ("person", "mother", {"person:mother"}), ("person", None, set()), ("staff", None, set()),
        ("staff", "anne", {"service:school", "service:clinic"}), ("staff", "left", set()), ("staff", "machine", set()),
        ("staff", "nobody", set()), ("machine", "machine", {"service:school"}), ("machine", "anne", set()),
    ],
)  # fmt: skip
def test_an_actor_stands_for_oneself_or_for_the_services_that_are_in_force(
    kind: str, actor: str | None, recipients: set[str]
) -> None:
    assert in_force().acts_for(kind, actor) == recipients


def test_whom_an_actor_stands_for_is_worked_out_once_and_anew_when_the_directory_changes() -> None:
    facts = in_force()
    first = facts.acts_for("staff", "anne")
    assert facts.acts_for("staff", "anne") is first
    put(facts, "agency", "a", 2, active=False)
    assert facts.acts_for("staff", "anne") == set()
    assert facts.acts_for("machine", "machine") == set()
