"""Language tags: one way of writing them, broader ones, and what a browser wishes for."""

import pytest

from consent.model.languages import broader, tag, wishes


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("NN-no", "nn-NO"), ("zh-hant-tw", "zh-Hant-TW"), (" prs ", "prs"), ("no", "nb"), ("NO-no", "nb-NO"),
        ("", None), ("*", None), ("en_GB", None), ("norsk", None), ("en-", None),
    ],
)  # fmt: skip
def test_a_tag_is_written_in_one_way(said: str, expected: str | None) -> None:
    assert tag(said) == expected


def test_a_broader_tag_will_do() -> None:
    assert broader("zh-Hant-TW") == ["zh-Hant-TW", "zh-Hant", "zh"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, []),
        ("nn-NO,nb;q=0.8,en;q=0.9", ["nn-NO", "nn", "en", "nb"]),
        ("no", ["nb"]),
        ("se;q=0,en", ["en"]),
        ("en;q=x, nn", ["nn"]),
        ("fa-AF,fa,*", ["fa-AF", "fa"]),
        (",;q=1,", []),
    ],
)
def test_accept_language_is_read_by_weight(header: str | None, expected: list[str]) -> None:
    assert wishes(header) == expected
