"""Consent texts: what each must state, which one is shown, and that drafts stay out of production."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import consent.handlers.tables as tables
from consent.model.errors import PurposeUnknown, TextUnknown
from consent.model.texts import TextsInvalid, usable, wishes

FILE = Path(tables.__file__).parents[1] / "data" / "texts.toml"


def data() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text())


@pytest.mark.requirement("F085")
def test_there_is_a_text_in_every_language_and_each_says_what_it_must() -> None:
    found = usable(data(), drafts=True)
    assert set(found.by_language) == {"nb", "nn", "en", "se"}
    for text in found.by_language.values():
        body = text.body("Helsestasjonen", "follow-up")
        assert "Helsestasjonen" in body
        assert text.purposes["follow-up"] in body
        assert "$" not in body
        assert len(body.split("\n\n")) == 5


@pytest.mark.parametrize("point", ["asks", "purpose", "not_shared", "voluntary", "withdraw"])
def test_a_text_that_leaves_one_of_its_points_out_is_not_used(point: str) -> None:
    spoilt = data()
    spoilt["text"][0]["says"][point] = " "
    with pytest.raises(TextsInvalid, match=point):
        usable(spoilt, drafts=True)


def test_production_shows_only_approved_texts_and_needs_one_in_bokmal() -> None:
    with pytest.raises(TextsInvalid, match="approved"):
        usable(data(), drafts=False)
    approved = data()
    approved["text"][0] |= {"status": "approved", "approved_by": "Solvik kommune"}
    assert set(usable(approved, drafts=False).by_language) == {"nb"}


def test_an_approved_text_names_who_approved_it() -> None:
    unsigned = data()
    unsigned["text"][0]["status"] = "approved"
    with pytest.raises(TextsInvalid, match="who approved"):
        usable(unsigned, drafts=True)


def test_the_newest_version_is_shown_and_an_approved_one_before_a_draft() -> None:
    several = data()
    newer = dict(several["text"][0]) | {"version": "2027-01-1"}
    several["text"].append(newer)
    assert usable(several, drafts=True).by_language["nb"].version == "2027-01-1"
    several["text"][0] |= {"status": "approved", "approved_by": "Solvik kommune"}
    assert usable(several, drafts=True).by_language["nb"].version == "2026-11-1"


def test_the_first_language_there_is_a_text_for_is_picked_else_bokmal() -> None:
    found = usable(data(), drafts=True)
    assert found.pick("se", "en").language == "se"
    assert found.pick(None, "fr", "en").language == "en"
    assert found.pick("uk").language == "nb"


def test_only_the_text_in_use_is_evidence() -> None:
    found = usable(data(), drafts=True)
    assert found.shown("2026-11-1", "nn").language == "nn"
    for version, language in (("2026-11-0", "nn"), ("2026-11-1", "fr")):
        with pytest.raises(TextUnknown):
            found.shown(version, language)
    with pytest.raises(PurposeUnknown):
        found.by_language["nb"].body("x", "research")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, []),
        ("nn-NO,nb;q=0.8,en;q=0.9", ["nn", "en", "nb"]),
        ("no", ["nb"]),
        ("se;q=0,en", ["en"]),
        ("en;q=x, nn", ["nn"]),
        (",;q=1,", []),
    ],
)
def test_accept_language_is_read_by_weight(header: str | None, expected: list[str]) -> None:
    assert wishes(header) == expected
