"""The business clock in the gateway: moved in the step that applies its record, and never in production."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.clock import Clock, ClockFixed
from chassis.health import Health
from gateway.handlers.projection import Projection

YEAR = 365 * 86_400


def projection(clock: Clock) -> Projection:
    settings: Any = SimpleNamespace()
    return Projection(settings, ["http://127.0.0.1:1"], b"k" * 32, Health(), clock, lambda: 0.0)


def record(version: int, offset: int = 0, **body: Any) -> Any:
    value = json.dumps({"version": version, "kind": "clock", "id": "business"} | body).encode()
    headers = [("ce_type", b"directory.state.v1"), ("ce_aggregateversion", str(version).encode())]
    return SimpleNamespace(key=b"clock:business", value=value, headers=headers, offset=offset)


def test_a_move_is_in_force_when_its_position_is_reported() -> None:
    clock = Clock(movable=True)
    found = projection(clock)
    found.apply("directory.state.v1", 0, record(1, 7, ahead=YEAR))
    assert clock.ahead == timedelta(seconds=YEAR)
    found.apply("directory.state.v1", 0, record(1, 8, ahead=2 * YEAR + 1))
    found.apply("directory.state.v1", 0, record(2, 9, ahead=2 * YEAR))
    assert clock.ahead == timedelta(seconds=2 * YEAR + 1), "the same version again counts, an older time never does"


def test_a_record_that_cannot_be_read_leaves_the_time_where_it_is() -> None:
    clock = Clock(movable=True)
    found = projection(clock)
    found.apply("directory.state.v1", 0, record(1, ahead=YEAR))
    found.apply("directory.state.v1", 0, record(2, ahead="soon"))
    found.apply("directory.state.v1", 0, record(3, ahead=-5))
    assert clock.ahead == timedelta(seconds=YEAR)


def test_production_does_not_go_on_with_a_clock_that_was_moved() -> None:
    found = projection(Clock())
    found.apply("directory.state.v1", 0, record(1, ahead=0))
    with pytest.raises(ClockFixed):
        found.apply("directory.state.v1", 0, record(2, ahead=1))
