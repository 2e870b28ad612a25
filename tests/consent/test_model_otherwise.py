"""What a word rests on that came otherwise than by a log-in, and the codes on paper."""

from datetime import UTC, datetime, timedelta

import pytest

from consent.model.errors import EvidenceNeeded, GivenTimeInvalid, RuleBroken, WitnessNeeded, WitnessUnfit
from consent.model.otherwise import (
    CODE_BYTES,
    LATEST,
    Grounds,
    Scan,
    check_grounds,
    code,
    code_as_written,
    may_act,
    may_register,
    overtaken,
)

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
ASKED = NOW - timedelta(days=2)
SCAN = Scan("ab" * 32, "arkiv")


def grounds(**more: object) -> Grounds:
    values: dict[str, object] = {"manner": "paper", "witness": "w", "given_at": NOW, "place": "x", "scan": SCAN}
    return Grounds(**(values | more))  # type: ignore[arg-type]  # the tests say wrong things on purpose


def check(given: Grounds, asked_at: datetime | None = ASKED) -> None:
    check_grounds(given, "registrar", ["w", "registrar"], asked_at=asked_at, now=NOW)


def test_a_scan_or_a_statement_carries_paper_and_only_a_statement_what_was_spoken() -> None:
    check(grounds())
    check(grounds(scan=None, statement="ja"))
    check(grounds(manner="oral", scan=None, statement="ja"))
    for bad in (grounds(scan=None), grounds(manner="oral")):
        with pytest.raises(EvidenceNeeded):
            check(bad)


@pytest.mark.parametrize(
    ("witness", "error"), [(None, WitnessNeeded), ("registrar", WitnessUnfit), ("somebody", WitnessUnfit)]
)
def test_the_witness_is_somebody_else_who_works_here(witness: str | None, error: type[RuleBroken]) -> None:
    with pytest.raises(error):
        check(grounds(witness=witness))


def test_it_is_given_after_it_was_asked_for_not_in_the_future_and_not_too_long_ago() -> None:
    check(grounds(given_at=ASKED))
    check(grounds(given_at=ASKED.replace(second=0)))  # people write minutes
    check(grounds(given_at=NOW - LATEST), asked_at=None)
    for bad in (ASKED - timedelta(minutes=2), NOW + timedelta(seconds=1)):
        with pytest.raises(GivenTimeInvalid):
            check(grounds(given_at=bad))
    for asked_at in (None, NOW - 2 * LATEST):
        with pytest.raises(GivenTimeInvalid):
            check(grounds(given_at=NOW - LATEST - timedelta(seconds=1)), asked_at=asked_at)


def test_a_later_word_and_one_of_the_same_moment_stand_against_it() -> None:
    assert overtaken(NOW, NOW) and overtaken(NOW, NOW + timedelta(seconds=1))
    assert not overtaken(NOW, NOW - timedelta(seconds=1))


def test_roles_and_acts() -> None:
    assert [role for role in ("professional", "leader", "admin", "privacy-officer", None) if may_register(role)] == [
        "professional", "leader",
    ]  # fmt: skip
    assert may_act(["answer"], "answer") and may_act(["answer"], "withdraw") and may_act(["withdraw"], "withdraw")
    assert not may_act(["withdraw"], "answer") and not may_act([], "withdraw")


def test_a_code_is_read_as_people_copy_it() -> None:
    made = code(bytes(range(0, 250, 25))[:CODE_BYTES])
    assert len(made) == 11 and made[5] == "-" and not set(made) & set("ILOU")
    assert code_as_written(made) == code_as_written(made.lower().replace("-", " ")) == made
    assert code_as_written("o1234 il0ab") == "01234-110AB"
    assert code(b"\0" * CODE_BYTES) == "00000-00000" != code(b"\1" * CODE_BYTES)
