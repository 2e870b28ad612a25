"""`make model`: every small world explored, every rule taken out once, and random walks; JSON=1 for one JSON object.

Progress goes to standard error. The time is that of one core: ten minutes, most of it for the worlds.
"""

import argparse
import json
import sys
import time
from typing import Any

from tests.protocol.breaks import BREAKS
from tests.protocol.explore import Found, explore
from tests.protocol.sizes import WORLDS
from tests.protocol.stories import tell
from tests.protocol.unmissed import NO_STORY
from tests.protocol.walks import Walk
from tests.protocol.world import World

WORLDS_SECONDS, EACH_SECONDS, BREAK_SECONDS, WALKS_SECONDS = 480.0, 120.0, 30.0, 45.0
STEPS = 2_500


def main() -> int:
    """1 when a promise was broken with all rules in force, or a break was not found."""
    parser = argparse.ArgumentParser(prog="make model", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the tables")
    parser.add_argument("--story", metavar="WORDS", help="tell the stories of the breaks whose rule has these words")
    parser.add_argument(
        "--seconds", type=float, default=WORLDS_SECONDS, help="for all the worlds together, of one core"
    )
    asked = parser.parse_args()
    if asked.story is not None:
        return _stories(asked.story)
    worlds = _worlds(asked.seconds)
    breaks = [_broken(number) for number in range(len(BREAKS))]
    without = [_without(number) for number in range(len(NO_STORY))]
    walks = _walks()
    found = {"worlds": worlds, "breaks": breaks, "no_story": without, "walks": walks}
    print(json.dumps(found) if asked.json else "\n".join(_tables(found)))
    fine = not any(world["broken"] for world in worlds) and all(one["found"] for one in breaks) and not walks["broken"]
    return int(not fine or any(one.get("broken") for one in without))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _worlds(seconds: float) -> list[dict[str, Any]]:
    """Each has its own limit; the last, largest one has what the others left."""
    done: list[dict[str, Any]] = []
    for size in WORLDS:
        left = seconds - sum(world["seconds"] for world in done)
        _say(f"exploring: {size.name}")
        world = World(size)
        found = explore(world, left if size is WORLDS[-1] else min(left, EACH_SECONDS), told=True)
        done.append({"world": size.name, **_figures(found)})
        if found.story is not None:
            _say("\n".join(tell(found.story, size, found.broken or "")))
    return done


def _figures(found: Found) -> dict[str, Any]:
    return {
        "states": found.states, "transitions": found.transitions, "paths": found.paths,
        "seconds": round(found.seconds, 1), "complete": found.complete, "broken": found.broken,
    }  # fmt: skip


def _broken(number: int) -> dict[str, Any]:
    one = BREAKS[number]
    _say(f"taken out: {one.rule}")
    found = explore(World(one.size, one.rules), BREAK_SECONDS, wanted=one.ends)
    return {"rule": one.rule, "found": found.story is not None, "steps": len(found.story or ()), "ends": found.broken}


def _without(number: int) -> dict[str, Any]:
    one = NO_STORY[number]
    told: dict[str, Any] = {"rule": one.rule, "why": one.why}
    if one.shown_by is not None:
        told["shown_by"] = one.shown_by
    if one.rules is not None and one.size is not None:
        _say(f"taken out, and not missed: {one.rule}")
        told |= _figures(explore(World(one.size, one.rules), BREAK_SECONDS))
    return told


def _walks() -> dict[str, Any]:
    began, walks, broken, confirmed, answered = time.process_time(), 0, [], 0, 0
    _say("walking")
    while time.process_time() - began < WALKS_SECONDS:
        walk = Walk(walks).walk(STEPS)
        broken += [f"seed {walks}: {text}" for text in walk.broken]
        walks, confirmed, answered = walks + 1, confirmed + walk.confirmed, answered + walk.answered
    return {"walks": walks, "steps": walks * STEPS, "confirmed": confirmed, "answered": answered, "broken": broken}


def _stories(words: str) -> int:
    chosen = [one for one in BREAKS if words in one.rule]
    if not chosen:
        print("No rule has these words. The rules:", *(one.rule for one in BREAKS), sep="\n  ", file=sys.stderr)
        return 2
    for one in chosen:
        found = explore(World(one.size, one.rules), BREAK_SECONDS * 2, wanted=one.ends)
        print(f"\n{one.rule[0].upper()}{one.rule[1:]}.")
        print("\n".join(f"  {line}" for line in tell(found.story or [], one.size, found.broken or "not found")))
    return 0


def _tables(found: dict[str, Any]) -> list[str]:
    lines = [f"{'world':58}{'states':>11}{'transitions':>13}{'s':>7}  "]
    for world in found["worlds"]:
        end = world["broken"] or ("complete" if world["complete"] else "cut off, nothing found")
        lines.append(
            f"{world['world']:58}{world['states']:>11,}{world['transitions']:>13,}{world['seconds']:>7}  {end}"
        )
    lines += ["", f"{'rule taken out':84}{'steps':>6}  the story ends"]
    lines += [f"{one['rule']:84}{one['steps']:>6}  {one['ends'] or 'NOT FOUND'}" for one in found["breaks"]]
    lines += ["", "rules without a story"]
    for one in found["no_story"]:
        states = f" ({one['states']:,} states{'' if one['complete'] else ', cut off'})" if "states" in one else ""
        shown = f"; {one['shown_by']}" if "shown_by" in one else ""
        lines.append(f"- {one['rule']}: {one['why']}{states}{shown}")
    walks = found["walks"]
    last = f"walks: {walks['walks']:,} of {STEPS:,} steps, {walks['confirmed']:,} changes confirmed, "
    return [*lines, "", f"{last}{walks['answered']:,} answers, broken: {len(walks['broken'])}"]


if __name__ == "__main__":
    sys.exit(main())
