"""Every state of a small world, breadth first: the shortest way to a broken promise, or none."""

import sys
import time
from dataclasses import dataclass

from tests.protocol.liveness import Liveness
from tests.protocol.states import Label, State
from tests.protocol.world import World


@dataclass(slots=True)
class Found:
    """What an exploration gave. `story` is the shortest one that breaks a promise."""

    states: int
    transitions: int
    seconds: float
    complete: bool
    story: list[Label] | None = None
    broken: str | None = None
    paths: int = 0


def explore(world: World, seconds: float = 600.0, *, told: bool = False, wanted: str = "") -> Found:
    """Within `seconds` of one core. From each state the path without faults is followed as well.

    wanted: go on until a promise is broken in these words.
    """
    began, transitions = time.process_time(), 0
    liveness = Liveness(world)
    came: dict[State, State | None] = {world.first: None}
    level = [world.first]
    while level:
        following: list[State] = []
        for state in level:
            if (late := liveness.broken(state)) is not None and wanted in late:
                way = _way(world, came, state)
                return Found(len(came), transitions, time.process_time() - began, False, way, late, liveness.followed)
            for _, after, broken in world.steps(state):
                transitions += 1
                if broken is not None and wanted in broken:
                    way = [*_way(world, came, state), _last(world, state, broken)]
                    return Found(len(came), transitions, time.process_time() - began, False, way, broken)
                if after not in came:
                    came[after] = state
                    following.append(after)
            if transitions % 4096 < 16 and time.process_time() - began > seconds:
                return Found(len(came), transitions, time.process_time() - began, complete=False)
        level = following
        if told:
            print(f"  {world.size.name}: {len(came):,} states", file=sys.stderr, end="\r", flush=True)
    took = time.process_time() - began
    return Found(len(came), transitions, took, complete=True, paths=liveness.followed)


def _way(world: World, came: dict[State, State | None], state: State) -> list[Label]:
    labels = []
    before = came[state]
    while before is not None:
        labels.append(next(label for label, after, _ in world.steps(before) if after == state))
        state, before = before, came[before]
    return labels[::-1]


def _last(world: World, state: State, broken: str) -> Label:
    return next(label for label, _, text in world.steps(state) if text == broken)
