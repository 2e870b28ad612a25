"""The record of processing: what its file must say, by name of the row that does not."""

import copy
from typing import Any

import pytest

from consent.handlers.tables import current_processing
from consent.model.processing import LIVE, TOLD, ProcessingInvalid, parse

ROW = {
    "id": "log", "service": "logbook", "live": ["services"],
    **{field: {"nb": f"{field} nb", "en": f"{field} en"} for field in TOLD},
}  # fmt: skip
GOOD: dict[str, Any] = {
    "version": "1", "languages": ["nb", "en"], "transfers": {"nb": "ingen", "en": "none"},
    "security": {"nb": "god", "en": "good"}, "activity": [ROW],
}  # fmt: skip


def test_a_row_says_what_the_file_says_and_what_there_is_now() -> None:
    [row] = parse(GOOD).rows("en", {name: [name] for name in LIVE})
    assert (row["purpose"], row["transfers"], row["security"]) == ("purpose en", "none", "good")
    assert (row["services"], row["categories"], row["texts"], row["law"]) == (["services"], [], [], [])


def test_the_language_is_one_that_is_there_and_else_bokmal() -> None:
    record = parse(GOOD)
    assert record.language(["pl", "en", "nb"]) == "en"
    assert record.language(["pl"]) == record.language([]) == "nb"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": ""}, "a version and languages with nb"),
        ({"languages": ["en"]}, "a version and languages with nb"),
        ({"activity": []}, "activities are needed"),
        ({"activity": [ROW, ROW]}, "each with an id of its own"),
        ({"transfers": {"nb": "ingen"}}, "row head: transfers in en is missing"),
        ({"security": None}, "row head: security in nb, en is missing"),
        ({"activity": [{**ROW, "purpose": {"nb": "x", "en": " "}}]}, "row log: purpose in en is missing"),
        ({"activity": [{**ROW, "why": "x"}]}, "row log: unknown why"),
        ({"activity": [{**ROW, "live": ["people"]}]}, "row log: unknown people"),
        ({"activity": [{**ROW, "id": ""}]}, "id and service are needed"),
        ({"activity": [{**ROW, "service": ""}]}, "row log: id and service are needed"),
    ],
)
def test_what_is_missing_or_unknown_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ProcessingInvalid, match=told):
        parse({**copy.deepcopy(GOOD), **change})


def test_the_packaged_record_can_be_used() -> None:
    assert current_processing().languages == ("nb", "en")
