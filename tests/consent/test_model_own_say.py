"""What words about a keeping come to, and what of it is published."""

import pytest

from consent.model.own_say import Keeping, KeepingWord, Kept, keepings, kept


def word(kind: str, keeping: str = "k1", item: str | None = None, **more: str) -> KeepingWord:
    return KeepingWord(keeping, kind, "health", item, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "state", "counts"),
    [
        ("asked", "waiting", True), ("asked reason", "kept", True), ("asked turned-down", "turned-down", False),
        ("asked lifted", "lifted", False), ("asked reason lifted", "lifted", False), ("set", "kept", True),
        ("set lifted", "lifted", False), ("asked lifted reason", "lifted", False),
        ("asked turned-down reason", "turned-down", False),
    ],
)  # fmt: skip
def test_a_keeping_counts_from_when_it_is_asked_for_until_it_is_lifted_or_turned_down(
    words: str, state: str, counts: bool
) -> None:
    [found] = keepings(word(kind) for kind in words.split())
    by = "professional" if words.startswith("set") else "subject"
    assert (found.state, found.counts(), found.by) == (state, counts, by)


def test_the_reason_and_who_gave_it_stay_with_the_keeping() -> None:
    [found] = keepings([word("asked"), word("reason", reason="danger", service="nurse"), word("lifted")])
    assert found == Keeping("k1", "subject", "health", None, "danger", "nurse", "lifted")


def test_what_counts_is_published_once_and_in_one_order() -> None:
    words = [
        word("asked", "k1"), word("set", "k2"), word("asked", "k3", "i2"), word("asked", "k4", "i1"),
        word("asked", "k5", "i1"), word("lifted", "k5"), word("asked", "k6", "i3"), word("lifted", "k6"),
    ]  # fmt: skip
    assert kept(keepings(words)) == Kept(("health",), (("i1", "health"), ("i2", "health")))
    assert not kept([]) and not Kept() and Kept(items=(("i", "c"),))
