"""`decide` against Cedar: the same rules in another language, on random worlds, never a difference."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from chassis.permit import Cell, Kept, Permit
from gateway.model.decide import Decision, Question, Refusal, decide
from gateway.model.facts import Facts
from tests.gateway import random_worlds

QUESTIONS, WORLDS = 50, 100
REASONS = (
    "assurance-too-low", "unknown-subject", "facts-unreadable", "no-grant", "grant-not-live", "staff-excluded",
    "category-not-granted", "not-matched", "not-attached", "role-missing", "not-asked",
)  # fmt: skip


@pytest.mark.requirement("F069")
def test_decide_and_cedar_agree_on_five_thousand_random_questions() -> None:
    compared = 0
    for seed in range(WORLDS):
        count, differences = random_worlds.compare(seed, QUESTIONS)
        compared += count
        assert differences == []
    assert compared == QUESTIONS * WORLDS


def test_the_worlds_meet_every_kind_of_answer() -> None:
    told: Counter[str] = Counter()
    for seed in range(WORLDS):
        chance = random.Random(seed)
        found = random_worlds.world(chance)
        facts = random_worlds.facts_of(found)
        for _ in range(QUESTIONS):
            decision = decide(random_worlds.question(chance, found), facts, random_worlds.NOW)
            told[decision.reason if isinstance(decision, Refusal) else type(decision).__name__] += 1
    assert set(told) == {"Permit", "Admission", *REASONS}
    assert told["Permit"] > 3 * WORLDS


@pytest.mark.parametrize("reason", REASONS)
def test_a_refusal_that_decide_forgets_is_found(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(question: Question, facts: Facts, now: float) -> Decision:
        found = decide(question, facts, now)
        if isinstance(found, Refusal) and found.reason == reason:
            return Permit("s", "read", "follow-up", (Cell(question.category or "", "g"),))
        return found

    monkeypatch.setattr(random_worlds, "decide", broken)
    assert any(random_worlds.compare(seed, QUESTIONS)[1] for seed in range(WORLDS))


@pytest.mark.parametrize("broken", [None, Kept((), (), ""), "own"])
def test_something_kept_that_decide_forgets_is_found(
    broken: Kept | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgets(question: Question, facts: Facts, now: float) -> Decision:
        found = decide(question, facts, now)
        if isinstance(found, Permit) and found.kept is not None:
            return replace(found, kept=found.kept._replace(own="") if isinstance(broken, str) else broken)
        return found

    monkeypatch.setattr(random_worlds, "decide", forgets)
    assert any(random_worlds.compare(seed, QUESTIONS)[1] for seed in range(WORLDS))


def test_a_grant_that_decide_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_worlds, "decide", lambda *_: Refusal("no-grant"))
    assert any(random_worlds.compare(seed, QUESTIONS)[1] for seed in range(WORLDS))
