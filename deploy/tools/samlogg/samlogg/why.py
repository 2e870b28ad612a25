"""Why something waits: who leads, who may answer, who is behind, what is unconfirmed, what was set aside. Ids only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

LATE_SECONDS = 5.0
"""An event that waits longer than this to be published is worth a line."""

_INCARNATION = "samlogg_gateway_incarnation"

Labels = tuple[tuple[str, str], ...]
Numbers = Mapping[str, Mapping[Labels, float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one part said of itself. `waiting`: part of it -> reason. `leader`: only `consent` has one to tell of."""

    part: str
    alive: bool
    ready: bool
    waiting: Mapping[str, str] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=dict)
    leader: Mapping[str, Any] | None = None

    def total(self, metric: str) -> float:
        """The sum of a metric over its labels; 0 if the part has none."""
        return sum(self.numbers.get(metric, {}).values())

    def by(self, metric: str, *names: str) -> list[tuple[tuple[str, ...], float]]:
        """The metric's values with the named labels."""
        rows = self.numbers.get(metric, {}).items()
        return [(tuple(dict(labels).get(name, "") for name in names), value) for labels, value in rows]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer, as it goes out with --json."""

    leader: str | None
    epoch: int | None
    leases: Mapping[str, float]
    gateways: Mapping[str, float]
    unconfirmed: int
    directory_unconfirmed: int
    not_ready: Mapping[str, Mapping[str, str]]
    behind: list[dict[str, Any]]
    waiting_to_publish: Mapping[str, float]
    dead_letters: Mapping[str, int]
    failing: Mapping[str, int]
    positions: Mapping[str, int]


def ask(part: str, address: str, http: httpx.Client) -> Seen:
    """Ask one part; a part that does not answer is not alive."""
    try:
        ready = http.get(f"{address}/ready")
        metrics = http.get(f"{address}/metrics")
        leader = http.get(f"{address}/inner/leader") if part.startswith("consent") else None
        return Seen(
            part,
            alive=True,
            ready=ready.status_code == httpx.codes.OK,
            waiting=ready.json().get("waiting", {}),
            numbers=numbers(metrics.text),
            leader=leader.json() if leader is not None and leader.status_code == httpx.codes.OK else None,
        )
    except (httpx.HTTPError, ValueError) as error:
        return Seen(part, alive=False, ready=False, waiting={"process": f"does not answer ({type(error).__name__})"})


def numbers(text: str) -> dict[str, dict[Labels, float]]:
    """A page in Prometheus form: sample name -> labels -> value."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = float(sample.value)
    return found


def report(seen: Iterable[Seen]) -> Report:
    """What all parts together say. The leader is the `consent` that says it leads; two would be the highest epoch."""
    parts = list(seen)
    leading = [one for one in parts if one.leader and one.leader.get("leads")]
    leader = max(leading, key=lambda one: int((one.leader or {}).get("epoch") or 0), default=None)
    told: Mapping[str, Any] = (leader.leader if leader is not None else None) or {}
    return Report(
        leader=leader.part if leader is not None else None,
        epoch=told.get("epoch"),
        leases=_named(told.get("leases", {}), parts),
        gateways={one.part: one.total("samlogg_lease_seconds_left") for one in parts if one.part.startswith("gateway")},
        unconfirmed=int(told.get("unconfirmed", 0)),
        directory_unconfirmed=int(sum(one.total("samlogg_directory_unconfirmed") for one in parts)),
        not_ready={one.part: dict(one.waiting) for one in parts if not one.ready},
        behind=[
            {"part": one.part, "topic": topic, "partition": int(partition or 0), "messages": int(value)}
            for one in parts
            for (topic, partition), value in one.by("samlogg_consumer_lag", "topic", "partition")
            if value > 0
        ],
        waiting_to_publish={
            one.part: value for one in parts if (value := one.total("samlogg_outbox_oldest_seconds")) > LATE_SECONDS
        },
        dead_letters=_counts(parts, "samlogg_dead_letters_total"),
        failing=_counts(parts, "samlogg_part_failures_total"),
        positions=told.get("positions", {}),
    )


def _named(leases: Mapping[str, float], parts: Iterable[Seen]) -> dict[str, float]:
    """Leases by the gateway that holds them; one that is not among the parts keeps the name it gave itself."""
    names = {incarnation: one.part for one in parts for (incarnation,), _ in one.by(_INCARNATION, "incarnation")}
    return {names.get(incarnation, incarnation): left for incarnation, left in leases.items()}


def _counts(parts: Iterable[Seen], metric: str) -> dict[str, int]:
    found = {
        f"{one.part} {topic}": int(value) for one in parts for (topic,), value in one.by(metric, "topic") if value > 0
    }
    return dict(sorted(found.items()))


def look(parts: Mapping[str, str], timeout: float = 3.0) -> Report:
    """Ask every part at once and put their answers together."""
    with httpx.Client(timeout=timeout) as http, ThreadPoolExecutor(max(1, len(parts))) as pool:
        return report(pool.map(lambda item: ask(item[0], item[1], http), parts.items()))


def sentences(found: Report) -> list[str]:
    """The report for somebody who has been woken at night: what is wrong first, then who leads and who may answer."""
    lines = [
        f"{part} is not ready: {'; '.join(f'{k}: {v}' for k, v in why.items())}"
        for part, why in found.not_ready.items()
    ]
    lines += [
        f"{one['part']} is {one['messages']} behind on {one['topic']} partition {one['partition']}"
        for one in found.behind
    ]
    lines += [f"{part} has had an event to publish for {age:.0f} s" for part, age in found.waiting_to_publish.items()]
    lines += [f"{where}: {count} set aside; see `samlogg dlq`" for where, count in found.dead_letters.items()]
    lines += [f"{where}: {count} tries failed because of a part of ours" for where, count in found.failing.items()]
    lines = lines or ["Nothing is wrong."]
    if found.leader is None:
        lines.append("Nobody leads: no gateway can get a lease, and nothing is confirmed.")
    else:
        lines.append(f"{found.leader} leads (epoch {found.epoch}); {found.unconfirmed} change(s) unconfirmed there,")
        lines.append(f"  {found.directory_unconfirmed} in the directory; leases: {_seconds(found.leases) or 'none'}")
    lines.append(f"Gateways, by their own clocks: {_seconds(found.gateways) or 'none'}")
    return lines


def _seconds(rows: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {left:.1f} s" for name, left in sorted(rows.items()))


def as_data(found: Report) -> dict[str, Any]:
    """For --json."""
    return asdict(found)
