"""The one decision, from the matrix and at its edges."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chassis.permit import Actor, Cell, Kept, Permit
from gateway.model.decide import Admission, Decision, Question, Refusal, decide, still_allows
from gateway.model.facts import Facts

MATRIX = tomllib.loads((Path(__file__).parents[1] / "matrices" / "decide.toml").read_text())
NOW = 1000.0

STAFF = {
    "teacher": ["school"], "constable-1": ["police"], "constable-2": ["police"], "doctor": ["clinic"],
    "adviser": ["nav"], "odd": ["odd"], "left": ["school"], "closed-service": ["closed"],
}  # fmt: skip


def grant(**row: Any) -> dict[str, Any]:
    return {"kind": "consent", "purpose": "follow-up", "basis": "x", "until": None, "back": None, "except": [], **row}


def put(facts: Facts, kind: str, name: str, version: int = 1, **more: Any) -> None:
    body = {"version": version, "kind": kind, "id": name, **more}
    facts.apply_entity(f"{kind}:{name}", version, "directory.state.v1", json.dumps(body).encode())


def put_subject(
    facts: Facts, version: int, grants: list[dict[str, Any]], requests: list[Any] | None = None, **more: Any
) -> bool:
    body = {"version": version, "subject": "s", "grants": grants, "requests": requests or [], **more}
    return facts.apply_subject("s", version, "consent.state.v1", json.dumps(body).encode())


def known_facts() -> Facts:
    facts = Facts()
    put(facts, "agency", "a", orgnr="991825827", active=True)
    for service in ("school", "police", "clinic", "nav", "odd"):
        put(facts, "service", service, agency="a", active=True)
    put(facts, "service", "closed", agency="a", active=False)
    for category in ("school", "leisure", "health", "work"):
        put(facts, "category", category, active=True)
    for name, services in STAFF.items():
        put(facts, "staff", name, services=services, role="professional", active=name != "left")
    put(facts, "attachment", "police-machine", agency="a", services=["police"], active=True)
    put_subject(
        facts, 1,
        [grant(**row) for row in MATRIX["grant"]] + [grant(id="g-closed", recipient="service:closed",
         categories=["school"], actions=["read"], **{"from": 0})],
        [{"id": "r", "asker": "service:school", "asked": ["mother"], "open": True}],
    )  # fmt: skip
    return facts


def actor(who: str, assurance: Any = "high") -> Actor:
    kind, _, name = who.partition(":")
    return Actor(kind, name or None, assurance=assurance)  # type: ignore[arg-type]


def ask(facts: Facts, row: dict[str, Any]) -> Any:
    question = Question(
        actor(row["who"], row.get("assurance", "high")), row.get("subject", "s"), row.get("action", "read"),
        row.get("category"), row.get("basis", "grant"),
    )  # fmt: skip
    decision = decide(question, facts, NOW)
    return sorted(decision.categories()) if isinstance(decision, Permit) else decision.reason  # type: ignore[union-attr]


@pytest.mark.requirement("F069")
@pytest.mark.requirement("F083")
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row["name"], marks=[pytest.mark.requirement("X1")] if "assurance" in row else [])
        for row in MATRIX["row"]
    ],
)
def test_the_matrix(row: dict[str, Any]) -> None:
    assert ask(known_facts(), row) == row["want"]


def test_a_withdrawn_consent_refuses_the_next_read() -> None:
    facts = known_facts()
    question = Question(actor("staff:teacher"), "s", "read")
    assert isinstance(decide(question, facts, NOW), Permit)
    put_subject(facts, 2, [])
    assert decide(question, facts, NOW) == Refusal("no-grant")


def test_an_older_state_is_ignored() -> None:
    facts = known_facts()
    put_subject(facts, 3, [])
    assert not put_subject(facts, 2, [grant(**row) for row in MATRIX["grant"]])
    assert decide(Question(actor("staff:teacher"), "s", "read"), facts, NOW) == Refusal("no-grant")


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"version": 2}', b"\xff"])
def test_an_unreadable_state_closes_the_subject_until_a_readable_one_comes(value: bytes | None) -> None:
    facts = known_facts()
    facts.apply_subject("s", 5, "consent.state.v1", value)
    question = Question(actor("person:youth"), "s", "read")
    assert decide(question, facts, NOW) == Refusal("facts-unreadable")
    put_subject(facts, 4, [grant(**row) for row in MATRIX["grant"]])
    assert decide(question, facts, NOW) == Refusal("facts-unreadable")
    put_subject(facts, 5, [grant(**row) for row in MATRIX["grant"]])
    assert isinstance(decide(question, facts, NOW), Permit)


def test_an_unknown_type_on_the_state_topic_closes_the_subject() -> None:
    facts = known_facts()
    facts.apply_subject("s", 2, "consent.state.v2", b"{}")
    assert decide(Question(actor("person:youth"), "s", "read"), facts, NOW) == Refusal("facts-unreadable")
    assert facts.unreadable == 1


def test_an_unreadable_directory_entry_closes_what_is_decided_through_it() -> None:
    facts = known_facts()
    facts.apply_entity("service:school", 2, "directory.state.v1", b"{")
    assert decide(Question(actor("staff:teacher"), "s", "read"), facts, NOW) == Refusal("no-grant")


def test_a_member_of_staff_who_left_loses_the_right_at_once() -> None:
    facts = known_facts()
    put(facts, "staff", "teacher", 2, services=["school"], role="professional", active=False)
    assert decide(Question(actor("staff:teacher"), "s", "read"), facts, NOW) == Refusal("no-grant")


@pytest.mark.parametrize(
    ("who", "basis", "fits"),
    [
        ("person:mother", "asked", True), ("person:youth", "asked", False), ("staff:teacher", "asked", False),
        ("staff:teacher", "asker", True), ("staff:doctor", "asker", False), ("staff:left", "asker", False),
        ("staff:teacher", "role:professional,admin", True), ("staff:teacher", "role:admin", False),
        ("person:mother", "role:professional", False), ("person:mother", "self", True), ("person:", "self", False),
        ("machine:police-machine", "agency", True), ("staff:teacher", "agency", False),
        ("person:", "authenticated", True), ("person:", "public", True), ("staff:teacher", "no-such-basis", False),
    ],
)  # fmt: skip
def test_other_bases_admit_without_any_category(who: str, basis: str, fits: bool) -> None:
    decision = decide(Question(actor(who), "s", "none", None, basis), known_facts(), NOW)
    assert decision == Admission(basis) if fits else isinstance(decision, Refusal)


@pytest.mark.parametrize(
    ("who", "basis", "reason"),
    [
        ("staff:police-machine", "agency", "not-attached"), ("person:police-machine", "agency", "not-attached"),
        ("machine:teacher", "role:professional", "role-missing"),
        ("person:teacher", "role:professional", "role-missing"), ("machine:teacher", "self", "not-matched"),
        ("machine:mother", "asked", "not-asked"), ("staff:mother", "asked-or-asker", "not-asked"),
    ],
)  # fmt: skip
def test_the_name_of_another_kind_of_actor_opens_nothing(who: str, basis: str, reason: str) -> None:
    assert decide(Question(actor(who), "s", "none", None, basis), known_facts(), NOW) == Refusal(reason)


def test_a_permit_says_for_whom_and_what_it_is_why_and_how_far_back_each_category_goes() -> None:
    facts = known_facts()
    to_school = {"recipient": "service:school", "actions": ["read"], "from": 0}
    put_subject(
        facts, 2,
        [
            grant(id="g1", categories=["school", "astrology"], **to_school),
            grant(id="g2", categories=["health"], back=500, **to_school),
        ],
    )  # fmt: skip
    decision = decide(Question(actor("staff:teacher"), "s", "read"), facts, NOW)
    assert decision == Permit("s", "read", "follow-up", (Cell("school", "g1", None), Cell("health", "g2", 500)))


def test_a_question_about_no_action_on_content_is_refused() -> None:
    assert decide(Question(actor("staff:teacher"), "s", "none"), known_facts(), NOW) == Refusal("no-grant")


def test_a_yes_under_another_grant_is_a_no_for_an_answer_on_its_way() -> None:
    facts = known_facts()
    question = Question(actor("staff:teacher"), "s", "read")
    first = decide(question, facts, NOW)
    again = [grant(**{**row, "id": row["id"] + "-anew"}) for row in MATRIX["grant"]]
    put_subject(facts, 2, again)
    second = decide(question, facts, NOW)
    assert isinstance(second, Permit)
    assert not still_allows(first, second)
    assert still_allows(first, first)


PERMIT = Permit("s", "read", "follow-up", (Cell("school", "g1"), Cell("leisure", "g1")))


@pytest.mark.parametrize(
    ("first", "again", "allowed"),
    [
        (PERMIT, PERMIT, True),
        (PERMIT, Permit("s", "read", "follow-up", (*PERMIT.cells, Cell("health", "g2"))), True),
        (PERMIT, Permit("s", "read", "follow-up", PERMIT.cells[:1]), False),
        (PERMIT, replace(PERMIT, masked=True), False), (replace(PERMIT, masked=True), PERMIT, True),
        (PERMIT, Refusal("no-grant"), False), (PERMIT, Admission("self"), False),
        (Admission("self"), Admission("self"), True), (Admission("self"), Admission("agency"), False),
        (Admission("self"), PERMIT, False), (Admission("self"), Refusal("not-matched"), False),
        (Refusal("no-grant"), Refusal("grant-not-live"), True), (Refusal("no-grant"), PERMIT, False),
        (Refusal("not-matched"), Admission("self"), False),
    ],
)  # fmt: skip
def test_an_answer_leaves_only_under_the_same_decision(first: Decision, again: Decision, allowed: bool) -> None:
    assert still_allows(first, again) is allowed


def test_a_subject_is_found_by_everybody_who_has_something_there_and_by_nobody_else() -> None:
    facts = known_facts()
    assert facts.subjects_of({"person:mother"}) == {"s"}
    assert facts.subjects_of({"person:father"}) == set()
    put_subject(facts, 2, [])
    assert facts.subjects_of({"person:mother", "service:school", "person:youth"}) == set()


@pytest.mark.parametrize(
    ("who", "fits"), [("staff:teacher", True), ("staff:left", False), ("machine:police-machine", False)]
)
def test_an_account_of_ones_own_needs_to_be_somebody_who_is_still_here(who: str, fits: bool) -> None:
    decision = decide(Question(actor(who), None, "none", None, "self"), known_facts(), NOW)
    assert isinstance(decision, Admission if fits else Refusal)


@pytest.mark.parametrize(
    ("category", "purpose"), [(None, "follow-up"), ("school", "follow-up"), ("work", "rehabilitation")]
)
def test_the_purpose_is_that_of_the_grant_that_is_used(category: str | None, purpose: str) -> None:
    facts = known_facts()
    put_subject(facts, 2, [
        grant(id="g1", recipient="service:school", categories=["school"], actions=["read"], **{"from": 0}),
        grant(id="g2", recipient="service:school", categories=["work", "leisure"], actions=["read"],
              **{"from": 0, "purpose": "rehabilitation"}),
        grant(id="g3", recipient="service:school", categories=["no-longer-used"], actions=["read"],
              **{"from": 0, "purpose": "research"}),
    ])  # fmt: skip
    found = decide(Question(actor("staff:teacher"), "s", "read", category), facts, NOW)
    assert isinstance(found, Permit) and found.purpose == purpose


@pytest.mark.parametrize(
    ("circle", "who", "masked"),
    [
        (None, "staff:teacher", False), ([], "staff:teacher", True), (["service:school"], "staff:teacher", False),
        (["service:police"], "staff:teacher", True), (["person:mother"], "person:mother", False),
        (["person:youth"], "person:mother", True),
    ],
)  # fmt: skip
def test_under_address_protection_only_the_circle_is_told_where(
    circle: list[str] | None, who: str, masked: bool
) -> None:
    facts = known_facts()
    rows = [
        grant(id=f"g-{one}", recipient=one, categories=["school"], actions=["read"], **{"from": 0})
        for one in ("service:school", "person:mother")
    ]
    put_subject(facts, 2, rows, circle=circle)
    decision = decide(Question(actor(who), "s", "read", "school"), facts, NOW)
    assert isinstance(decision, Permit)
    assert decision.masked is masked


# -- what is kept from those who see by law ----------------------------------------------------------------------------


def family(kept: dict[str, Any] | None, *more: dict[str, Any]) -> Facts:
    """A mother who sees school and health by law, a youth, a school, and what is kept."""
    facts = known_facts()
    grants = [
        grant(id="law", kind="parental", recipient="person:mother", categories=["school", "health"],
              actions=["read", "contribute"], **{"from": 0}),
        grant(id="own", kind="self", recipient="person:youth", categories=["school", "health"], actions=["read"],
              **{"from": 0}),
        grant(id="staff", recipient="service:school", categories=["school", "health"], actions=["read"], **{"from": 0}),
        *more,
    ]  # fmt: skip
    body = {"version": 2, "subject": "youth", "grants": grants, "requests": []}
    value = json.dumps(body | ({} if kept is None else {"kept": kept})).encode()
    facts.apply_subject("youth", 2, "consent.state.v1", value)
    return facts


def allowed(facts: Facts, who: str, action: Any = "read") -> Permit:
    found = decide(Question(actor(who), "youth", action), facts, NOW)
    assert isinstance(found, Permit)
    return found


KEPT = {"categories": ["health"], "items": [{"id": "i1", "category": "school"}]}


def test_what_is_kept_takes_no_cell_away_and_hides_all_but_the_readers_own_words() -> None:
    before, after = allowed(family(None), "person:mother"), allowed(family(KEPT), "person:mother")
    assert (before.cells, before.purpose, before.kept) == (after.cells, after.purpose, None)
    assert after.kept == Kept(("health",), ("i1",), "mother")
    assert after.kept.hides("health", "i9", "nurse") and after.kept.hides("school", "i1", "nurse")
    assert not after.kept.hides("health", "i9", "mother") and not after.kept.hides("school", "i9", "nurse")
    assert allowed(family(KEPT), "person:mother", "contribute").kept == after.kept


@pytest.mark.parametrize("who", ["person:youth", "staff:teacher"])
def test_nothing_is_kept_from_the_subject_nor_from_staff(who: str) -> None:
    assert allowed(family(KEPT), who).kept is None


def test_what_the_subject_grants_a_person_is_seen_as_far_as_it_reaches_but_for_kept_items() -> None:
    given = grant(
        id="given", recipient="person:mother", categories=["health"], actions=["read"], back=500, **{"from": 0}
    )
    found = allowed(
        family({"categories": ["health"], "items": [{"id": "i2", "category": "health"}]}, given), "person:mother"
    )
    assert set(found.cells) == {Cell("school", "law"), Cell("health", "given", 500)}
    assert found.kept == Kept((), ("i2",), "mother")


def test_an_exception_for_life_and_health_shows_what_is_kept_of_its_category_and_nothing_else() -> None:
    shown = grant(
        id="ex",
        recipient="person:mother",
        categories=["health"],
        actions=["read"],
        **{"from": 0, "purpose": "life-and-health"},
    )
    kept = {
        "categories": ["health", "school"],
        "items": [{"id": "i1", "category": "school"}, {"id": "i2", "category": "health"}],
    }
    found = allowed(family(kept, shown), "person:mother")
    assert set(found.cells) == {Cell("school", "law"), Cell("health", "ex")}
    assert found.kept == Kept(("school",), ("i1",), "mother")


@pytest.mark.parametrize(
    ("first", "again", "leaves"),
    [
        (None, KEPT, False), (KEPT, KEPT, True), (KEPT, None, True), (None, {"categories": [], "items": []}, True),
        (None, {"categories": [], "items": KEPT["items"]}, False),
        (None, {"categories": KEPT["categories"], "items": []}, False),
        ({"categories": [], "items": KEPT["items"]}, KEPT, False),
        ({"categories": ["health"], "items": []}, KEPT, False),
    ],
)  # fmt: skip
def test_an_answer_that_was_fetched_before_something_was_kept_does_not_leave(
    first: dict[str, Any] | None, again: dict[str, Any] | None, leaves: bool
) -> None:
    one, two = allowed(family(first), "person:mother"), allowed(family(again), "person:mother")
    assert still_allows(one, two) is leaves


def test_a_state_whose_kept_part_cannot_be_read_closes_the_subject() -> None:
    facts = family({"categories": "health", "items": []})
    assert decide(Question(actor("person:youth"), "youth", "read"), facts, NOW) == Refusal("facts-unreadable")
