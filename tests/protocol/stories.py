"""A counterexample as a story: who did what, one line a step, with the seconds that went by."""

from collections.abc import Callable
from typing import Any

from tests.protocol.rules import Size
from tests.protocol.states import Label

Line = Callable[..., str]
UNFAULTED = "was not confirmed"


def _record(record: int) -> str:
    if record == 0:
        return "another subject's record"
    return f"the barrier of leader {-record}" if record < 0 else f"version {record}"


def _state(version: int) -> str:
    return "no record" if version == 0 else f"version {version}, {'granted' if version % 2 else 'withdrawn'}"


def _whose(k: int, several: bool) -> str:
    return f" of log {k + 1}" if several else ""


def tell(story: list[Label], size: Size, broken: str) -> list[str]:
    """The lines of it; the last says which promise was broken."""
    several, at = size.subjects > 1, 0.0
    lines = [
        f"At first: version {size.begins}, granted, and everybody was told so. Leader 1 leads."
        + (" The gateway has read nothing yet." if size.gateways == 1 else " No gateway has read anything yet.")
    ]
    for name, *rest in story:
        if name in ("time", "stops"):
            at += size.tick
        lines.append(f"{at:5.2f} s  {_LINES[name](several, *rest)}")
    if UNFAULTED in broken or "no lease" in broken:
        lines.append(f"{at:5.2f} s  From here on nothing fails: whoever leads goes on, or somebody else takes over.")
    return [*lines, f"{at:5.2f} s  Broken: {broken}."]


def _changes(several: bool, k: int, version: int) -> str:
    verb = "withdraws" if version % 2 == 0 else "grants anew"
    return f"The person{_whose(k, several)} {verb}: version {version} in the database, pending."


def _publishes(several: bool, i: int, k: int, version: int, early: bool) -> str:
    more = " That is told at once." if early else ""
    return f"Leader {i + 1} publishes version {version}{_whose(k, several)}.{more}"


def _confirms(several: bool, i: int, done: Any) -> str:
    what = " and ".join(f"version {version}{_whose(k, several)}" for k, version in done)
    return f"Leader {i + 1} confirms {what}: it is told."


def _time(_: bool, gateway: float, leader: float) -> str:
    if gateway == leader:
        return "Time goes by."
    return f"Time goes by: {gateway:g} of it on the gateway's clock, {leader:g} on the leaders'."


def _gateway(j: int) -> str:
    return "The gateway" if j == 0 else f"Gateway {j + 1}"


def _takes(_: bool, epoch: int, end: Any = None) -> str:
    asked = f" It had asked before for the end of the topic: {end[0]}." if end else ""
    return f"Leader {epoch} is paused and loses the lock; it does not notice. Leader {epoch + 1} takes over.{asked}"


def _fences(_: bool, i: int, stale: Any = None) -> str:
    asked = f" A broker that is behind tells it the end: {stale[0]}." if stale else ""
    return f"Leader {i + 1} fences the one before, writes its barrier and reads up to it.{asked}"


_LINES: dict[str, Line] = {
    "changes": _changes,
    "takes": _takes,
    "fences": _fences,
    "restored": lambda _, epoch: f"The database is restored: it knows version 1 only. Leader {epoch + 1} takes over.",
    "prepares": lambda _, i, k, version: f"Leader {i + 1} reads version {version} from the database, to publish it.",
    "repeats": lambda _, i, k, version: f"Leader {i + 1} reads version {version} again, to publish it once more.",
    "publishes": _publishes,
    "fenced off": lambda _, i: f"Leader {i + 1} is fenced: its publication is refused.",
    "learns": lambda _, i, k, at, record: f"Leader {i + 1} reads {_record(record)} at {at}{_whose(k, _)}.",
    "looks": lambda _, i: f"Leader {i + 1} looks what it may confirm: nothing yet.",
    "confirms": _confirms,
    "reads": lambda _, j, k, at, record: f"{_gateway(j)} reads {_record(record)} at {at}{_whose(k, _)}.",
    "applies": lambda _, j, k, version: f"{_gateway(j)} applies version {version}.",
    "restarts": lambda _, j: f"{_gateway(j)} is killed and starts again, with nothing read.",
    "sends": lambda _, j, i: f"{_gateway(j)} sends a heartbeat to leader {i + 1}.",
    "receives": lambda _, j, i: f"Leader {i + 1} receives the heartbeat.",
    "receives a copy": lambda _, j, i: f"Leader {i + 1} receives the heartbeat; another copy is still on its way.",
    "asks": lambda _, j, i: f"{_gateway(j)} reports to leader {i + 1} how far it has read.",
    "asks at once": lambda _, j, i, granted: (
        f"{_gateway(j)} reads, reports to leader {i + 1} and is {'granted' if granted else 'refused'} a lease."
    ),
    "checks": lambda _, i, j: f"Leader {i + 1} asks the database whether it still leads: yes.",
    "grants": lambda _, i, j: f"Leader {i + 1} grants a lease.",
    "refuses": lambda _, i, j: f"Leader {i + 1} grants nothing: not far enough.",
    "answers untabled": lambda _, i, j: f"Leader {i + 1} sends a lease that is not in its table yet.",
    "tables": lambda _, i, j: f"Leader {i + 1} writes the lease into its table.",
    "is granted": lambda _, j: f"{_gateway(j)} gets the lease.",
    "is granted, and once more": lambda _, j: f"{_gateway(j)} gets the lease; another copy is still on its way.",
    "decides": lambda _, k, version: (
        f"The gateway decides on a read{_whose(k, _)} by what it holds: {_state(version)}."
    ),
    "checks again": lambda _, k, held: f"The gateway lets the answer go; it holds now: {_state(held)}.",
    "gives up": lambda _, k: "The gateway decides again and does not let the answer go.",
    "answers": lambda _, k, version: f"The answer{_whose(k, _)} leaves, by {_state(version)}.",
    "time": _time,
    "stops": lambda _: "The gateway's machine is stopped, and its clock with it. Time goes by.",
    "another": lambda _: "Another subject's record is published.",
    "relays": lambda _, version: f"Somebody who led before and was stopped publishes what it had: version {version}.",
    "compacts": lambda _, k, at: f"Compaction removes the record at {at}: a later one of the same key is there.",
}
