"""The rules alone: no I/O, no clock, no framework."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from chassis.permit import Kept
from logbook import model
from logbook.model import Author, Guide, Guides, Holder, Item, LevelChange, Log, Offer, Participation, Reference

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = NOW.date()
LATER = TODAY + timedelta(days=30)
GUIDE = Guide("gamlebyen", 4, (0, 1, 2, 3), 1, ("stafettlogg",))
NURSE, TEACHER = Author("staff", "s1", "school-health"), Author("staff", "s2", "gamlebyen-school")
YOUTH = Author("person", "p1")
LOG = Log("l1", "p1", "stafettlogg", "gamlebyen", 1, Holder("h1", "school-health", "s1", NOW - timedelta(days=9)))


@dataclass(frozen=True)
class Cells:
    """A permit's cells: category and how far back."""

    held: tuple[tuple[str, datetime | None], ...]
    masked: bool = False
    kept: Kept | None = None

    def categories(self) -> frozenset[str]:
        return frozenset(category for category, _ in self.held)

    def allows(self, category: str, at: datetime | None = None) -> bool:
        return any(held == category and (at is None or back is None or back <= at) for held, back in self.held)


def cells(*categories: str, back: datetime | None = None) -> Cells:
    return Cells(tuple((category, back) for category in categories))


def part(service: str, *categories: str, actions: tuple[str, ...] = ("read", "contribute")) -> Participation:
    return Participation("g", f"service:{service}", categories or ("school",), actions, NOW)


def measure(state: str | None = model.ACTIVE, evaluate_on: date | None = LATER) -> Item:
    return Item("m1", model.MEASURE, "school", NOW, NURSE, "t", state=state, evaluate_on=evaluate_on)


@pytest.mark.requirement("F034")
@pytest.mark.parametrize("levels", [(0, 1), (0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 4, 5, 6)])
def test_a_log_opens_at_any_level_that_the_guide_has_from_its_own_first_level_on(levels: tuple[int, ...]) -> None:
    guide = replace(GUIDE, levels=levels, create_from=levels[1])
    for level in range(9):
        if level in levels[1:]:
            assert model.open_log(guide, "stafettlogg", level) is guide
        else:
            with pytest.raises(model.LevelTooLow if level in levels else model.LevelUnknown):
                model.open_log(guide, "stafettlogg", level)


def test_a_log_without_a_known_guide_or_plan_type_does_not_open() -> None:
    with pytest.raises(model.GuideUnknown):
        model.open_log(None, "stafettlogg", 1)
    with pytest.raises(model.PlanTypeUnknown):
        model.open_log(GUIDE, "individuell-plan", 1)


@pytest.mark.requirement("F039")
def test_levels_go_up_and_down_by_the_holders_own_people_and_by_no_machine() -> None:
    log = replace(LOG, level=2)
    for level in (0, 1, 3):
        assert model.change_level(log, GUIDE, level, NURSE) is GUIDE
    for other in (TEACHER, YOUTH, Author("machine", "m", "school-health")):
        with pytest.raises(model.NotTheHolder):
            model.change_level(log, GUIDE, 1, other)
    with pytest.raises(model.LevelUnchanged):
        model.change_level(log, GUIDE, 2, NURSE)
    with pytest.raises(model.LevelUnknown):
        model.change_level(log, replace(GUIDE, levels=(0, 1, 2)), 3, NURSE)
    with pytest.raises(model.GuideUnknown):
        model.change_level(log, None, 1, NURSE)


@pytest.mark.requirement("F074")
@pytest.mark.parametrize(
    ("participants", "fits"),
    [
        ([], False), ([part("gamlebyen-school")], True), ([part("school-health")], False),
        ([part("gamlebyen-school", actions=("read",))], False), ([part("gamlebyen-school", "participants")], False),
        ([part("gamlebyen-school", "looks", "grants", "participants")], False),
        ([part("gamlebyen-school", "participants", "health")], True),
    ],
)  # fmt: skip
def test_the_baton_goes_only_to_a_service_that_takes_part_and_may_contribute(
    participants: list[Participation], fits: bool
) -> None:
    def offer() -> None:
        model.offer_handover(cells("participants"), LOG, NURSE, participants, "gamlebyen-school", holder_acts=True)

    if fits:
        offer()
    else:
        with pytest.raises(model.NotAParticipant):
            offer()


def test_the_holder_offers_and_when_it_can_no_longer_act_another_service_does() -> None:
    both = [part("gamlebyen-school"), part("school-health")]
    knowing = cells("participants")
    for other in (TEACHER, YOUTH):
        with pytest.raises(model.NotTheHolder):
            model.offer_handover(knowing, LOG, other, both, "gamlebyen-school", holder_acts=True)
    model.offer_handover(knowing, LOG, TEACHER, both, "gamlebyen-school", holder_acts=False)
    with pytest.raises(model.NotTheHolder):
        model.offer_handover(knowing, LOG, YOUTH, both, "gamlebyen-school", holder_acts=False)


@pytest.mark.requirement("F073")
def test_accepting_ends_one_turn_and_begins_the_next_at_the_same_moment() -> None:
    offer = Offer("o", "gamlebyen-school", NURSE, NOW)
    ended, begun = model.accept_handover(LOG, offer, TEACHER, "h2", NOW)
    assert ended == replace(LOG.holder, until=NOW)
    assert begun == Holder("h2", "gamlebyen-school", "s2", NOW)
    with pytest.raises(model.NoOffer):
        model.accept_handover(LOG, None, TEACHER, "h2", NOW)
    with pytest.raises(model.NoOffer):
        model.accept_handover(LOG, offer, NURSE, "h2", NOW)
    with pytest.raises(model.ServiceNeeded):
        model.accept_handover(LOG, offer, YOUTH, "h2", NOW)


@pytest.mark.parametrize(
    ("services", "granted_to", "named", "chosen"),
    [
        ((), {}, None, None), (("a",), {}, None, "a"), (("a",), {"g": "service:a"}, "a", "a"),
        (("a", "b"), {"g": "service:b"}, None, "b"), (("a", "b"), {"g": "service:b"}, "b", "b"),
        (("a", "b"), {}, "a", "a"), (("a", "b"), {"g": "service:a", "h": "service:b"}, "b", "b"),
    ],
)  # fmt: skip
def test_one_acts_for_the_service_that_the_permit_rests_on(
    services: tuple[str, ...], granted_to: dict[str, str], named: str | None, chosen: str | None
) -> None:
    assert model.acting_service(services, granted_to, granted_to, named) == chosen


@pytest.mark.parametrize(
    ("services", "granted_to", "named"),
    [
        ((), {}, "a"), (("a",), {}, "b"), (("a", "b"), {}, None), (("a", "b"), {"g": "service:b"}, "a"),
        (("a", "b"), {"g": "service:a", "h": "service:b"}, None),
    ],
)  # fmt: skip
def test_when_it_is_not_clear_for_whom_one_acts_nobody_guesses(
    services: tuple[str, ...], granted_to: dict[str, str], named: str | None
) -> None:
    with pytest.raises(model.ServiceNeeded):
        model.acting_service(services, granted_to, granted_to, named)


@pytest.mark.requirement("F053", "F064")
@pytest.mark.parametrize(
    ("outcome", "evaluate_on", "state"),
    [("continue", LATER, "continued"), ("change", TODAY, "changed"), ("end", None, "ended")],
)
@pytest.mark.parametrize("before", sorted(model.RUNNING))
def test_a_running_measure_is_continued_changed_or_ended(
    before: str, outcome: str, evaluate_on: date | None, state: str
) -> None:
    after = model.evaluate_measure(measure(before), NURSE, outcome, evaluate_on, TODAY)
    assert (after.state, after.evaluate_on, after.version) == (state, evaluate_on, 2)
    assert (after.state in model.RUNNING) == (after.evaluate_on is not None)


@pytest.mark.requirement("F064")
@pytest.mark.parametrize("evaluate_on", [None, TODAY - timedelta(days=1)])
def test_no_way_leads_to_a_measure_under_way_without_a_date_ahead(evaluate_on: date | None) -> None:
    for outcome in ("continue", "change"):
        with pytest.raises(model.EvaluationDateNeeded):
            model.evaluate_measure(measure(), NURSE, outcome, evaluate_on, TODAY)
    if evaluate_on is None:
        assert model.plan_measure(measure(None, None), None, TODAY).state == model.PLANNED
    else:
        with pytest.raises(model.EvaluationDateNeeded):
            model.plan_measure(measure(None, None), evaluate_on, TODAY)
        with pytest.raises(model.EvaluationDateNeeded):
            model.start_measure(measure(model.PLANNED, None), NURSE, evaluate_on, TODAY)


def test_what_is_not_under_way_cannot_be_evaluated_and_what_is_cannot_start() -> None:
    for state in (model.PLANNED, model.ENDED):
        with pytest.raises(model.WrongState):
            model.evaluate_measure(measure(state, None), NURSE, "end", None, TODAY)
    for state in (*model.RUNNING, model.ENDED):
        with pytest.raises(model.WrongState):
            model.start_measure(measure(state), NURSE, LATER, TODAY)
    with pytest.raises(model.EvaluationDateNotNeeded):
        model.evaluate_measure(measure(), NURSE, "end", LATER, TODAY)


@pytest.mark.requirement("F065")
@pytest.mark.parametrize("other", [TEACHER, YOUTH, Author("machine", "m", "gamlebyen-school")])
def test_nobody_but_the_owning_service_leads_a_measure_on(other: Author) -> None:
    with pytest.raises(model.NotTheOwner):
        model.evaluate_measure(measure(), other, "end", None, TODAY)
    with pytest.raises(model.NotTheOwner):
        model.start_measure(measure(model.PLANNED, None), other, LATER, TODAY)
    colleague = Author("staff", "s9", "school-health")
    assert model.evaluate_measure(measure(), colleague, "end", None, TODAY).state == model.ENDED


@pytest.mark.requirement("F005")
def test_a_measure_is_accepted_by_whom_it_was_given_to() -> None:
    own = model.assign_measure(measure(), "service:school-health", NOW)
    assert own.accepted_at == NOW
    for responsible, by in (("person:p1", YOUTH), ("service:gamlebyen-school", TEACHER)):
        given = model.assign_measure(measure(), responsible, NOW)
        assert given.accepted_at is None
        assert model.accept_measure(given, by, NOW).accepted_at == NOW
        with pytest.raises(model.NotResponsible):
            model.accept_measure(given, NURSE, NOW)
    with pytest.raises(model.NotResponsible):
        model.accept_measure(model.assign_measure(measure(), "person:p2", NOW), YOUTH, NOW)


def test_who_may_not_know_the_participants_gives_a_measure_only_to_those_known_anyway() -> None:
    def given(responsible: str, *categories: str, by: Author = TEACHER) -> str:
        return model.responsible_party(cells("school", *categories), LOG, by, [part("child-welfare")], responsible)

    assert given("service:gamlebyen-school") == "service:gamlebyen-school"
    assert given("person:p1") == "person:p1"
    for service in ("child-welfare", "police-prevention"):
        with pytest.raises(model.ParticipantsHidden):
            given(f"service:{service}")
    assert given("service:child-welfare", "participants") == "service:child-welfare"
    with pytest.raises(model.NotAParticipant):
        given("service:police-prevention", "participants")
    with pytest.raises(model.NotAParticipant):
        given("service:school-health")


def test_a_reason_that_may_touch_what_is_kept_is_not_shown_nor_is_what_an_item_stands_under() -> None:
    change = LevelChange("l", 1, NOW, Author("staff", "s", "school"), "g", 1, None, ("school", "health"))
    goal = Reference("g1", "health", NOW, "staff-1")
    allowed = cells("school", "health")
    assert model.reason_is_seen(allowed, change) and model.may_be_mentioned(allowed, goal)
    by_category = replace(allowed, kept=Kept(("health",), (), "mother"))
    by_item = replace(allowed, kept=Kept((), ("g1",), "mother"))
    assert not model.reason_is_seen(by_category, change) and model.reason_is_seen(by_item, change)
    assert not model.may_be_mentioned(by_category, goal) and not model.may_be_mentioned(by_item, goal)
    assert model.may_be_mentioned(by_category, goal._replace(by="mother"))
    assert not model.may_be_mentioned(allowed, None)


def test_a_reason_needs_every_category_it_may_touch_and_as_far_back() -> None:
    change = LevelChange("c", 1, NOW, NURSE, "gamlebyen", 4, "x", ("health", "school"))
    assert model.reason_is_seen(cells("health", "school", "family"), change)
    assert not model.reason_is_seen(cells("school"), change)
    assert not model.reason_is_seen(cells("health", "school", back=NOW + timedelta(seconds=1)), change)
    assert model.change_is_seen(cells("school"), change)
    assert not model.change_is_seen(cells("school", back=NOW + timedelta(seconds=1)), change)
    assert not model.change_is_seen(cells("participants", "looks", "grants"), change)


def test_a_reason_stands_under_all_that_its_writer_had_before_them() -> None:
    assert model.reason_categories(cells("school", "health", "participants"), None) == ("health", "school")
    assert model.reason_categories(cells("school", "health"), "school") == ("school",)
    for held, named in ((("school",), "health"), (("participants",), None), (("participants",), "participants")):
        with pytest.raises(model.CategoryClosed):
            model.reason_categories(cells(*held), named)


def test_one_writes_under_what_the_permit_holds_and_never_under_the_systems_own_categories() -> None:
    model.may_write(cells("school", "looks"), "school")
    for category in ("health", "looks", "participants"):
        with pytest.raises(model.CategoryClosed):
            model.may_write(cells("school", "looks", "participants"), category)


def test_whoever_sees_looks_and_grants_alone_has_no_business_with_the_log() -> None:
    assert model.may_read_log(cells("school")) and model.may_read_log(cells("looks", "participants"))
    assert not model.may_read_log(cells("looks", "grants")) and not model.may_read_log(cells())


@pytest.mark.parametrize(
    ("service", "usually", "with_participants", "masked"),
    [
        (None, True, True, True), ("own", True, True, True), ("holder", True, True, False),
        ("other", False, True, False),
    ],
)  # fmt: skip
def test_that_a_service_takes_part_is_told_to_itself_of_the_holder_and_to_who_may_know_all(
    service: str | None, usually: bool, with_participants: bool, masked: bool
) -> None:
    knowing = cells("school", "participants")
    told = [model.service_is_known(one, ["own"], "holder", service) for one in (cells("school"), knowing)]
    assert told == [usually, with_participants]
    assert model.service_is_known(replace(knowing, masked=True), ["own"], "holder", service) is masked


def test_what_cannot_be_read_closes_its_district_until_something_not_older_can_be() -> None:
    known = Guides()
    assert known.of("gamlebyen") is None
    known.learn(GUIDE)
    known.learn(replace(GUIDE, version=3, levels=(0,)))
    assert known.of("gamlebyen") == GUIDE
    known.close("gamlebyen")
    assert known.of("gamlebyen") is None
    assert known.closed() == 1
    known.learn(replace(GUIDE, version=3))
    assert known.of("gamlebyen") is None
    known.learn(replace(GUIDE, version=5))
    assert known.of("gamlebyen") == replace(GUIDE, version=5)
    known.close("never-seen")
    assert known.of("never-seen") is None
