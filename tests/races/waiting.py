"""What the time from a withdrawal to its confirmation was made of: clients' clock and stores' dates. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.races.judge import Act


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database and the state topic say of a change: Unix seconds. None: not confirmed, not published."""

    created: float
    published: float | None
    confirmed: float | None


def stages(acts: Iterable[Act], kept: Mapping[str, Kept], offset: float) -> dict[str, list[float]]:
    """Milliseconds of each told withdrawal, by stage. offset: Unix time less the clients' clock.

    asking: until a replica of consent wrote the change down, with every refused or unanswered try before. publishing:
    until the leader's record was on the topic. confirming: until the leader committed that everybody able to answer
    has passed it. telling: until the client had read that it is confirmed.
    """
    found: dict[str, list[float]] = {"asking": [], "publishing": [], "confirming": [], "telling": []}
    for act in acts:
        known = kept.get(act.change or "")
        if act.told is None or known is None or known.published is None or known.confirmed is None:
            continue
        moments = [act.sent + offset, known.created, known.published, known.confirmed, act.told + offset]
        for name, (one, other) in zip(found, pairwise(moments), strict=True):
            found[name].append(1_000 * (other - one))
    return found


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
