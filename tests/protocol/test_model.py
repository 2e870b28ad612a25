"""Every interleaving of small worlds; and each rule taken out, with the story that then goes wrong."""

import ast
from pathlib import Path

import pytest

from consent.model.horizon import Horizon, Topics, _Gateway
from gateway.model.lease import Lease
from tests.protocol.breaks import BREAKS, Break
from tests.protocol.explore import explore
from tests.protocol.frozen import FIELDS, freeze_horizon, freeze_lease, thaw_horizon, thaw_lease
from tests.protocol.rules import Size
from tests.protocol.sizes import SMALL
from tests.protocol.stories import tell
from tests.protocol.unmissed import NO_STORY, NoStory
from tests.protocol.world import World

ROOT = Path(__file__).parents[2]
LONGEST_STORY = 22


@pytest.mark.requirement("F069")
@pytest.mark.parametrize("size", SMALL, ids=lambda size: size.name)
def test_a_small_world_holds_every_promise_in_every_state(size: Size) -> None:
    found = explore(World(size), 60.0)
    assert found.broken is None, "\n".join(tell(found.story or [], size, found.broken))
    assert found.complete


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.rule)
def test_without_this_rule_a_promise_is_broken(one: Break) -> None:
    found = explore(World(one.size, one.rules), 60.0, wanted=one.ends)
    assert found.story is not None
    assert len(found.story) <= LONGEST_STORY
    lines = tell(found.story, one.size, found.broken or "")
    assert one.ends in lines[-1]
    assert len(lines) >= len(found.story) + 2


@pytest.mark.parametrize("one", [one for one in NO_STORY if one.rules], ids=lambda one: one.rule)
def test_without_this_rule_no_promise_is_broken(one: NoStory) -> None:
    assert one.rules is not None
    assert one.size is not None
    found = explore(World(one.size, one.rules), 60.0)
    assert (found.complete, found.broken) == (True, None)


def test_what_the_model_leaves_to_another_test_has_that_test() -> None:
    for one in NO_STORY:
        if one.shown_by is not None:
            path, _, name = one.shown_by.partition("::")
            tree = ast.parse((ROOT / path).read_text())
            assert name in {
                node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }


def test_a_frozen_machine_has_every_attribute_of_the_machine() -> None:
    topics = Topics()
    machines = [topics, Horizon(1, 0.0, 0.0, [], topics), Lease("g")]
    assert {type(one): set(vars(one)) for one in machines} | {_Gateway: set(_Gateway.__slots__)} == FIELDS


def test_freezing_what_was_thawed_changes_nothing() -> None:
    world = World(SMALL[1])
    explore(world, 60.0)
    for value in world.leaders.all.values:
        assert freeze_horizon(thaw_horizon(value[1], Horizon), None) == value[1]
    for value in world.gateways.all.values:
        assert freeze_lease(thaw_lease(value[0], Lease)) == value[0]
