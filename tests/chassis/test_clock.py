"""The business clock: ahead of the wall clock by as much as everybody is told, and fixed in production."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chassis import events
from chassis.clock import Clock, ClockFixed, wall_now
from chassis.following import CLOCK, move_clock

YEAR = timedelta(days=365)


def record(ahead: Any, key: bytes = CLOCK, raw: bytes | None = None) -> Any:
    event = events.new_event("directory", "directory.state.v1", "clock:business", {"ahead": ahead}, datetime.now(UTC))
    return SimpleNamespace(key=key, value=raw or events.value(event), headers=events.headers(event))


def test_it_is_ahead_by_what_it_was_moved_and_never_goes_back() -> None:
    clock = Clock(movable=True)
    assert abs(clock.now() - wall_now()) < timedelta(seconds=5)
    clock.move(YEAR)
    clock.move(timedelta(days=1))
    assert abs(clock.now() - wall_now() - YEAR) < timedelta(seconds=5)


def test_in_production_it_does_not_move() -> None:
    clock = Clock()
    clock.move(timedelta(0))
    with pytest.raises(ClockFixed):
        clock.move(timedelta(seconds=1))
    with pytest.raises(ClockFixed):
        move_clock(clock, record(60))


def test_the_record_of_the_clock_moves_it_and_others_do_not() -> None:
    clock = Clock(movable=True)
    move_clock(clock, record(60, key=b"district:x"))
    assert clock.ahead == timedelta(0)
    move_clock(clock, record(60))
    assert clock.ahead == timedelta(seconds=60)


@pytest.mark.parametrize("ahead", ["soon", None, [1], 10**30])
def test_a_record_that_cannot_be_read_leaves_it_where_it_is(ahead: Any) -> None:
    clock = Clock(movable=True)
    move_clock(clock, record(ahead))
    move_clock(clock, record(5, raw=b"{"))
    move_clock(clock, record(5, raw=json.dumps({"else": 1}).encode()))
    assert clock.ahead == timedelta(0)
