"""A race of a few seconds with real processes, and the same with the second check taken out."""

import sys

import pytest

from tests.races.race import Asked, run, start_again, take_out, track
from tests.races.verdict import MUST_BE_NONE


def tell(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.mark.timeout(240)
async def test_nothing_is_stale_lost_doubled_or_unrecorded_and_a_gateway_without_its_second_check_is_found_out() -> (
    None
):
    asked = Asked(15.0, seed=7, plan="short", subjects=8, reads=120.0, withdrawals=6.0)
    async with track(asked, tell) as on:
        found = await run(asked, on, tell)
        tell(f"lost: {found['lost_by_kind']}, doubled: {found['doubled_by_kind']}")
        assert [found[name] for name in MUST_BE_NONE] == [0, 0, 0, 0], found
        assert found["withdrawals_confirmed_under_fault"] >= 5, found
        assert found["answers_with_content"] >= 200, found
        assert len(found["faults_by_kind"]) >= 4, found

        await start_again(on.members, take_out(on.members, "second-check"))
        broken = Asked(40.0, seed=8, broken="second-check", subjects=8, reads=120.0, withdrawals=6.0)
        bitten = await run(broken, on, tell)
        assert bitten["stale_answers"] > 0, bitten
