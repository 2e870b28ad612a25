"""Who is told of an event: candidates, each decided by the one decision. No I/O."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.model.decide import Decision, Question, Refusal, decide
from gateway.model.facts import Facts
from gateway.model.feeds import (
    About,
    Effects,
    may_still,
    of_asked_service,
    of_change,
    of_denial,
    of_ending,
    of_exception,
    of_grant,
    of_keeping,
    of_question,
    of_registered,
    of_service_answer,
    of_withdrawal,
    rounded,
)
from tests.gateway.feeds_world import GUARDIAN, NURSE, OFFICER, POLICE, SCHOOL, SCHOOL_STAFF, YOUTH, World, grant

NOW = 1_800_000_000.0


@pytest.fixture
def world() -> World:
    return World()


def change(world: World, category: str | None, by: str = "staff:nobody", at: float = NOW) -> Effects:
    return of_change(About(YOUTH, category=category, at=at), by, world.facts, NOW, decide)


def pointed(effects: Effects) -> dict[str, str]:
    return {one.attachment: one.what for one in effects.pointers}


def test_only_who_may_see_the_category_is_told_of_it(world: World) -> None:
    world.state(
        grant("service:school", "school"),
        grant("service:school-health", "school", "health"),
        grant("service:patrol", "school"),
        grant(f"person:{YOUTH}", "school", "health", kind="self"),
        grant(f"person:{GUARDIAN}", "school", kind="parental"),
    )
    health = change(world, "health")
    assert pointed(health) == {SCHOOL: "changed"}
    assert set(health.recipients) == {f"staff:{NURSE}", f"person:{YOUTH}"}
    school = change(world, "school")
    assert pointed(school) == {SCHOOL: "changed", POLICE: "changed"}
    assert set(school.recipients) == {
        f"staff:{NURSE}", f"staff:{SCHOOL_STAFF}", f"staff:{OFFICER}", f"person:{YOUTH}", f"person:{GUARDIAN}"
    }  # fmt: skip


def test_nobody_is_told_of_their_own_act(world: World) -> None:
    world.state(grant("service:school", "school"), grant(f"person:{YOUTH}", "school", kind="self"))
    by_staff = change(world, "school", by=f"staff:{SCHOOL_STAFF}")
    assert by_staff.recipients == (f"person:{YOUTH}",)
    assert pointed(by_staff) == {SCHOOL: "changed"}, "the agency's own system is told of what its staff wrote here"
    assert change(world, "school", by=f"person:{YOUTH}").recipients == (f"staff:{SCHOOL_STAFF}",)


REFUSED: dict[str, dict[str, Any]] = {
    "ended": {"until": int(NOW) - 1},
    "not begun": {"from": int(NOW) + 1},
    "only to contribute": {"actions": ["contribute"]},
    "of another category": {"categories": ["health"]},
    "not as far back": {"back": int(NOW)},
    "of a category that nobody knows": {"categories": ["unheard-of"]},
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_grant_that_does_not_cover_it_points_to_nothing(world: World, case: str) -> None:
    world.state(grant("service:patrol", "school") | REFUSED[case])
    found = change(world, "school", at=NOW - 100)
    assert (found.pointers, found.recipients) == ((), ())


def test_an_excluded_member_of_staff_is_not_told(world: World) -> None:
    world.entity("staff", "other", services=["school"], role="professional", identity=None, active=True)
    world.state(grant("service:school", "school", **{"except": ["other"]}))
    assert change(world, "school").recipients == (f"staff:{SCHOOL_STAFF}",)


def test_staff_who_left_and_agencies_that_do_not_listen_are_not_told(world: World) -> None:
    world.state(grant("service:school", "school"), grant("service:patrol", "school"))
    world.entity("staff", SCHOOL_STAFF, services=["school"], role="professional", identity=None, active=False)
    world.attach(SCHOOL, "education", ["school"], ports=["contribute"])
    world.attach(POLICE, "police", ["patrol"], active=False)
    found = change(world, "school")
    assert (found.pointers, found.recipients) == ((), (f"staff:{OFFICER}",))


def test_a_change_of_the_log_itself_is_told_to_who_sees_something_of_the_log(world: World) -> None:
    world.state(
        grant("service:school", "school"),
        grant(f"person:{GUARDIAN}", "looks", "grants", kind="parental"),
        grant(f"person:{YOUTH}", "school", "looks", "grants", kind="self"),
    )
    found = change(world, None)
    assert pointed(found) == {SCHOOL: "changed"}
    assert set(found.recipients) == {f"staff:{SCHOOL_STAFF}", f"person:{YOUTH}"}


def test_a_closed_or_unknown_subject_points_to_nothing(world: World) -> None:
    assert change(world, "school") == Effects(About(YOUTH, category="school", at=NOW))
    world.state(grant("service:school", "school"))
    world.close()
    assert change(world, "school") == Effects(About(YOUTH, category="school", at=NOW))


def test_a_grant_that_begins_is_told_to_its_agency_and_its_staff(world: World) -> None:
    new = grant("service:patrol", "school")
    world.state(grant("service:school", "school"), new)
    found = of_grant(YOUTH, new["id"], "service:patrol", world.facts, NOW, decide)
    assert pointed(found) == {POLICE: "grant-began"}
    assert found.recipients == (f"staff:{OFFICER}",)


def test_a_grant_that_only_lets_contribute_is_told_to_the_agency_alone(world: World) -> None:
    new = grant("service:patrol", "school", actions=["contribute"])
    world.state(new)
    found = of_grant(YOUTH, new["id"], "service:patrol", world.facts, NOW, decide)
    assert (pointed(found), found.recipients) == ({POLICE: "grant-began"}, ())


def test_a_late_event_about_a_grant_that_is_gone_begins_nothing(world: World) -> None:
    world.state(grant("service:patrol", "school"))
    found = of_grant(YOUTH, "another-grant", "service:patrol", world.facts, NOW, decide)
    assert (found.pointers, found.recipients) == ((), ())


def test_a_person_is_told_of_a_grant_made_to_them_and_not_of_the_laws_own(world: World) -> None:
    made = grant(f"person:{GUARDIAN}", "school")
    law = grant(f"person:{GUARDIAN}", "school", kind="parental")
    world.state(made, law)
    assert of_grant(YOUTH, made["id"], made["recipient"], world.facts, NOW, decide).recipients == (made["recipient"],)
    assert of_grant(YOUTH, law["id"], law["recipient"], world.facts, NOW, decide).recipients == ()


def test_a_grant_that_ended_is_told_to_its_agency_and_nobody_else(world: World) -> None:
    world.state(grant("service:school", "school"))
    found = of_withdrawal(YOUTH, "service:patrol", world.facts, NOW, decide)
    assert (pointed(found), found.recipients) == ({POLICE: "grant-ended"}, ())


def test_a_withdrawal_in_part_is_a_change_for_who_still_sees_the_rest(world: World) -> None:
    world.state(grant("service:patrol", "health"))
    assert pointed(of_withdrawal(YOUTH, "service:patrol", world.facts, NOW, decide)) == {POLICE: "changed"}


def asks(request: str = "r1", *asked: str) -> list[dict[str, Any]]:
    return [{"id": request, "asker": "service:school-health", "asked": list(asked), "open": True}]


def test_those_who_are_asked_are_told_and_nobody_else(world: World) -> None:
    world.state(requests=asks("r1", YOUTH, GUARDIAN))
    found = of_question(YOUTH, [YOUTH, GUARDIAN, "somebody-else"], world.facts, NOW, decide)
    assert (found.pointers, found.recipients) == ((), (f"person:{YOUTH}", f"person:{GUARDIAN}"))


def test_the_staff_who_asked_are_told_of_a_no(world: World) -> None:
    world.state(requests=asks("r1", YOUTH))
    assert of_denial(YOUTH, "r1", f"person:{YOUTH}", world.facts, NOW, decide).recipients == (f"staff:{NURSE}",)
    assert of_denial(YOUTH, "r2", f"person:{YOUTH}", world.facts, NOW, decide).recipients == ()


def test_a_service_that_is_asked_about_a_look_tells_those_of_its_staff_who_may_answer(world: World) -> None:
    roles = {"leader": "leader", "admin": "admin", "aunt": "professional", "left": "professional"}
    for id_, role in roles.items():
        world.entity("staff", id_, services=["patrol"], role=role, identity=None, active=id_ != "left")
    world.state(grant("service:patrol", "school", **{"except": ["aunt"]}))
    found = of_asked_service(YOUTH, "service:patrol", world.facts, NOW, decide)
    assert (found.pointers, set(found.recipients)) == ((), {f"staff:{OFFICER}", "staff:leader"})
    world.state()
    again = of_asked_service(YOUTH, "service:patrol", world.facts, NOW, decide)
    assert f"staff:{OFFICER}" in again.recipients, "it can be asked and can answer after the consent has ended"
    assert may_still(f"staff:{OFFICER}", again.about, world.facts, NOW, decide)


def test_what_ends_soon_is_told_to_those_who_are_asked_and_to_the_staff_who_asked(world: World) -> None:
    world.state(requests=asks("r1", YOUTH))
    asker = world.facts.subjects[YOUTH].requests[0].asker
    staff = {
        f"staff:{one.id}" for one in world.facts.entities("staff") if asker.removeprefix("service:") in one.services
    }
    assert staff
    found = of_ending(YOUTH, asker, [YOUTH, GUARDIAN], world.facts, NOW, decide)
    assert (found.pointers, set(found.recipients)) == ((), {f"person:{YOUTH}", *staff})
    for who in found.recipients:
        assert may_still(who, found.about, world.facts, NOW, decide)
    assert not may_still(f"person:{GUARDIAN}", found.about, world.facts, NOW, decide)
    other = of_ending(YOUTH, "service:patrol", [], world.facts, NOW, decide)
    assert other.recipients == (), "a service that did not ask is not told"
    world.state()
    assert not may_still(f"person:{YOUTH}", found.about, world.facts, NOW, decide)


def test_who_asked_about_a_look_is_told_of_the_answer_while_they_may_see_looks(world: World) -> None:
    world.state(grant(f"person:{GUARDIAN}", "looks", kind="parental"))
    found = of_service_answer(YOUTH, GUARDIAN, world.facts, NOW, decide)
    assert (found.pointers, found.recipients) == ((), (f"person:{GUARDIAN}",))
    assert of_service_answer(YOUTH, YOUTH, world.facts, NOW, decide).recipients == ()


def test_a_notice_may_no_longer_be_sent_when_its_grant_is_gone(world: World) -> None:
    about = About(YOUTH, category="health", at=NOW)
    world.state(grant("service:school-health", "health"))
    assert may_still(f"staff:{NURSE}", about, world.facts, NOW, decide)
    world.state(grant("service:school-health", "school"))
    assert not may_still(f"staff:{NURSE}", about, world.facts, NOW, decide)


def test_everything_goes_through_the_decision_that_is_given(world: World) -> None:
    world.state(grant("service:school", "school"), requests=asks("r1", YOUTH))
    asked: list[Question] = []

    def never(question: Question, facts: Facts, now: float) -> Decision:
        asked.append(question)
        return Refusal("closed")

    facts = world.facts
    about = About(YOUTH, category="school", at=NOW)
    for found in (
        of_change(about, "staff:x", facts, NOW, never),
        of_grant(YOUTH, "g", "service:school", facts, NOW, never),
        of_question(YOUTH, [YOUTH], facts, NOW, never),
        of_denial(YOUTH, "r1", "person:x", facts, NOW, never),
        of_ending(YOUTH, "service:school", [YOUTH], facts, NOW, never),
        of_asked_service(YOUTH, "service:school", facts, NOW, never),
        of_service_answer(YOUTH, YOUTH, facts, NOW, never),
        of_registered(YOUTH, YOUTH, facts, NOW, never),
        of_exception(YOUTH, "service:school", facts, NOW, never),
    ):
        assert (found.pointers, found.recipients) == ((), ())
    assert len(asked) >= 8
    assert {question.subject for question in asked} == {YOUTH}


@pytest.mark.parametrize(
    ("exact", "told"),
    [("10:00:00", "10:00:00"), ("10:14:59", "10:00:00"), ("10:15:00", "10:15:00"), ("23:59:59", "23:45:00")],
)
def test_times_are_rounded_down_to_a_quarter_of_an_hour(exact: str, told: str) -> None:
    moment = datetime.fromisoformat(f"2026-03-01T{exact}").replace(tzinfo=UTC)
    assert rounded(moment) == datetime.fromisoformat(f"2026-03-01T{told}").replace(tzinfo=UTC)


def told_of(world: World, category: str, item: str, *above: tuple[str, str]) -> set[str]:
    about = About(YOUTH, category=category, at=NOW, item=item, above=above)
    return set(of_change(about, "staff:nobody", world.facts, NOW, decide).recipients)


def test_nobody_who_sees_by_law_is_told_of_what_is_kept_nor_of_what_stands_under_it(world: World) -> None:
    kept = {"categories": ["health"], "items": [{"id": "i1", "category": "school"}]}
    grants = (
        grant(f"person:{YOUTH}", "school", "health", kind="self"),
        grant(f"person:{GUARDIAN}", "school", "health", kind="parental"),
    )
    both, youth = {f"person:{YOUTH}", f"person:{GUARDIAN}"}, {f"person:{YOUTH}"}
    world.state(*grants)
    assert told_of(world, "health", "i9") == told_of(world, "school", "i1") == both
    world.state(*grants, kept=kept)
    assert told_of(world, "health", "i9") == told_of(world, "school", "i1") == youth
    assert told_of(world, "school", "i9", ("i1", "school")) == told_of(world, "school", "i9", ("i8", "health")) == youth
    assert told_of(world, "school", "i9", ("i8", "school")) == both
    about = About(YOUTH, category="school", at=NOW, item="i1")
    assert not may_still(f"person:{GUARDIAN}", about, world.facts, NOW, decide)


def test_of_a_keeping_only_the_youth_or_those_who_may_give_the_reason_are_told(world: World) -> None:
    world.state(
        grant(f"person:{YOUTH}", "looks", kind="self"), grant(f"person:{GUARDIAN}", "looks", kind="parental"),
        requests=[{"id": "r1", "asker": "service:school-health", "asked": [YOUTH], "open": True}],
    )  # fmt: skip

    def told(*tell: str) -> tuple[str, ...]:
        return of_keeping(YOUTH, tell, world.facts, NOW, decide).recipients

    assert told(f"person:{YOUTH}") == (f"person:{YOUTH}",)
    assert told(f"person:{GUARDIAN}") == ()
    assert told("service:school-health", "service:school") == (f"staff:{NURSE}",)
    assert told() == ()


def test_of_what_was_registered_for_somebody_they_alone_are_told_as_far_as_they_may_find_it(world: World) -> None:
    world.state(
        grant(f"person:{YOUTH}", "looks", kind="self"), grant("service:school", "school"),
        requests=[{"id": "r1", "asker": "service:school-health", "asked": [GUARDIAN], "open": True}],
    )  # fmt: skip

    def told(person: str) -> tuple[str, ...]:
        return of_registered(YOUTH, person, world.facts, NOW, decide).recipients

    assert told(YOUTH) == (f"person:{YOUTH}",)
    assert told(GUARDIAN) == (f"person:{GUARDIAN}",)
    assert told("33333333-3333-4333-8333-333333333333") == ()
    world.state(grant("service:school", "school"))
    assert told(YOUTH) == told(GUARDIAN) == ()


def test_of_an_exception_only_the_leaders_of_the_service_are_told_while_they_lead(world: World) -> None:
    for staff, service in (("head", "school-health"), ("other-head", "school")):
        world.entity("staff", staff, services=[service], role="leader", identity=None, active=True)
    found = of_exception(YOUTH, "service:school-health", world.facts, NOW, decide)
    assert (found.recipients, found.pointers) == (("staff:head",), ())
    assert may_still("staff:head", found.about, world.facts, NOW, decide)
    world.entity("staff", "head", services=["school-health"], role="professional", identity=None, active=True)
    assert not may_still("staff:head", found.about, world.facts, NOW, decide)
