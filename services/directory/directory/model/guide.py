"""The stepwise guide as data: a template, what a district does otherwise, and the guide that comes of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from directory.model.entities import Ages, Texts, plain

PHASES = ("identification", "assessment", "decision", "measures")
"""The four topics of a local guide (F139)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A form, method or piece of information that steps point at."""

    id: str
    kind: str
    names: Texts


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. who: who does or decides it, in words."""

    id: str
    phase: str
    text: Texts
    who: Texts
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a level can end. outside_log: what goes its own way, such as a report to child welfare."""

    id: str
    text: Texts
    to_level: int | None
    outside_log: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A yes-or-no criterion and the answer that speaks for a log."""

    id: str
    text: Texts
    expected: str


@dataclass(frozen=True, slots=True)
class CreateLog:
    """When a log is to be created at this level (F042)."""

    when: Texts
    allowed: bool
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One level. shares: `nothing` or `consented`."""

    level: int
    names: Texts
    purpose: Texts
    shares: str
    decide_within_days: int | None
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]
    create_log: CreateLog | None


@dataclass(frozen=True, slots=True)
class Template:
    """What a city gives its districts."""

    id: str
    edition: str
    names: Texts
    tools: tuple[Tool, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class OwnStep:
    """A district's own step: it replaces the one with the same id, else it comes after `after`, else last."""

    id: str
    phase: str
    text: Texts
    who: Texts
    tools: tuple[str, ...]
    after: str | None

    def step(self) -> Step:
        """Without its place."""
        return Step(self.id, self.phase, self.text, self.who, self.tools)


@dataclass(frozen=True, slots=True)
class LevelOverride:
    """What a district does otherwise at one level."""

    level: int
    drop_steps: tuple[str, ...]
    steps: tuple[OwnStep, ...]
    create_log: CreateLog | None


@dataclass(frozen=True, slots=True)
class Override:
    """What a district does otherwise."""

    drop_levels: tuple[int, ...]
    levels: tuple[LevelOverride, ...]


@dataclass(frozen=True, slots=True)
class GuideSource:
    """The guide as the district's document has it. owner: the agency that answers for it."""

    owner: str
    reviewed: date
    review_due: date
    ages: Ages
    template: Template
    override: Override


@dataclass(frozen=True, slots=True)
class Guide:
    """The guide that applies in a district. differences: where it departs from the template."""

    owner: str
    reviewed: date
    review_due: date
    ages: Ages
    template: str
    edition: str
    names: Texts
    tools: tuple[Tool, ...]
    levels: tuple[Level, ...]
    differences: tuple[Mapping[str, Any], ...]


def merged(source: GuideSource) -> Guide:
    """The template with the district's override; how many levels there are is what is left."""
    template, override = source.template, source.override
    kept = {level.level for level in template.levels} - set(override.drop_levels)
    changes = {change.level: change for change in override.levels}
    levels = tuple(
        _without_dropped(_changed(level, changes.get(level.level)), kept)
        for level in sorted(template.levels, key=lambda one: one.level)
        if level.level in kept
    )
    return Guide(
        owner=source.owner, reviewed=source.reviewed, review_due=source.review_due, ages=source.ages,
        template=template.id, edition=template.edition, names=template.names, tools=template.tools, levels=levels,
        differences=differences(template, levels),
    )  # fmt: skip


def _changed(level: Level, change: LevelOverride | None) -> Level:
    if change is None:
        return level
    steps = [step for step in level.steps if step.id not in change.drop_steps]
    for own in change.steps:
        places = {step.id: place for place, step in enumerate(steps)}
        if own.id in places:
            steps[places[own.id]] = own.step()
        else:
            steps.insert(places.get(own.after or "", len(steps) - 1) + 1, own.step())
    return replace(level, steps=tuple(steps), create_log=change.create_log or level.create_log)


def _without_dropped(level: Level, kept: set[int]) -> Level:
    """No way leads to a level that the district does not have; a report outside the log stays (design.md rule 13)."""
    outcomes = tuple(
        replace(outcome, to_level=outcome.to_level if outcome.to_level in kept else None)
        for outcome in level.outcomes
        if outcome.outside_log or outcome.to_level is None or outcome.to_level in kept
    )
    return replace(level, outcomes=outcomes)


def differences(template: Template, levels: Sequence[Level]) -> tuple[Mapping[str, Any], ...]:
    """Where the levels depart from the template: {"level", "step" or None, "what": dropped, added or changed}."""
    own = {level.level: level for level in levels}
    found: list[Mapping[str, Any]] = []
    for level in sorted(template.levels, key=lambda one: one.level):
        if level.level not in own:
            found.append({"level": level.level, "step": None, "what": "dropped"})
            continue
        before = {step.id: step for step in level.steps}
        after = {step.id: step for step in own[level.level].steps}
        for step in [*before, *(one for one in after if one not in before)]:
            what = _difference(before.get(step), after.get(step))
            if what is not None:
                found.append({"level": level.level, "step": step, "what": what})
        if plain(level.create_log) != plain(own[level.level].create_log):
            found.append({"level": level.level, "step": None, "what": "changed"})
    return tuple(found)


def _difference(before: Step | None, after: Step | None) -> str | None:
    if before is None:
        return "added"
    if after is None:
        return "dropped"
    return None if plain(before) == plain(after) else "changed"
