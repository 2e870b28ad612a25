"""Consent texts: what each must state, which version is shown to whom, and which may be named as evidence."""

import tomllib
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from consent.model.errors import (
    PurposeUnknown,
    RuleBroken,
    TextExpired,
    TextNotApproved,
    TextNotConveyed,
    TextUnknown,
    TextWithdrawn,
)
from consent.model.text_files import TextsInvalid, usable
from consent.model.texts import OTHER, POINTS, Conveyed, Information, concerned
from tests.consent.writing import DRAFT, SHIPPED, TODAY, VERSION, WITHDRAWN, approved, packaged, read, written

READ, ALOUD = Conveyed("read"), Conveyed("read-aloud", "staff")
INTERPRETED = Conveyed("interpreted", "interpreter", "so")


@pytest.mark.requirement("F085")
def test_there_are_at_least_eleven_languages_right_to_left_ones_among_them_and_none_claims_to_be_approved() -> None:
    found = usable(packaged(), TODAY, drafts=True)
    assert len(SHIPPED) >= 11
    assert {"nb", "nn", "se", "en"} <= set(SHIPPED)
    texts = [text for versions in found.versions.values() for text in versions.values()]
    assert {text.language for text in texts if text.direction == "rtl"} == {"ar", "fa", "ur"}
    assert {text.status for text in texts} == {"draft"}


@pytest.mark.requirement("F084", "F085")
@pytest.mark.parametrize("language", SHIPPED)
def test_each_text_says_what_it_must_and_tells_of_every_kind_of_service(language: str) -> None:
    found = usable(packaged(), TODAY, drafts=True)
    text, norwegian = found.pick("follow-up", TODAY, language).text, found.pick("follow-up", TODAY, "nb").text
    assert text.language == language
    body = text.body("Helsestasjonen", "follow-up")
    assert "Helsestasjonen" in body
    assert text.purposes["follow-up"] in body
    assert "$" not in body
    assert len(body.split("\n\n")) == len(POINTS)
    assert text.services.keys() == norwegian.services.keys()
    assert text.about("police") != text.about("school")
    assert text.about("something-new") == text.about(None) == text.services[OTHER]
    if language != "nb":
        assert not set(text.says.values()) & set(norwegian.says.values())
        told = {words for one in norwegian.services.values() for words in (one.does, one.uses)}
        assert not told & {words for one in text.services.values() for words in (one.does, one.uses)}


@pytest.mark.requirement("F085")
def test_another_language_is_one_more_file_and_nothing_else() -> None:
    before, files = usable(packaged(), TODAY, drafts=True), packaged()
    files["zh-Hant"] = dict(files["en"]) | {"language": "zh-Hant"}
    after = usable(files, TODAY, drafts=True)
    assert before.pick("follow-up", TODAY, "zh-Hant").way == "interpreter"
    assert after.pick("follow-up", TODAY, "zh-Hant").way == "read"
    assert after.pick("follow-up", TODAY, "zh-Hant").text.language == "zh-Hant"


def spoilt(language: str = "ur", **changes: Any) -> dict[str, dict[str, Any]]:
    files = packaged()
    files[language]["text"][0] |= changes
    return files


@pytest.mark.parametrize("point", POINTS)
def test_a_text_that_leaves_one_of_its_points_out_stops_the_start(point: str) -> None:
    files = packaged()
    files["ur"]["text"][0]["says"][point] = " "
    with pytest.raises(TextsInvalid, match=rf"^text ur {VERSION} does not state: says\.{point}"):
        usable(files, TODAY, drafts=True)


@pytest.mark.parametrize("half", ["does", "uses"])
@pytest.mark.parametrize("kind", ["police", OTHER])
def test_a_kind_of_service_that_is_told_by_half_stops_the_start(kind: str, half: str) -> None:
    files = packaged()
    del files["ur"]["text"][0]["services"][kind][half]
    with pytest.raises(TextsInvalid, match=rf"^text ur {VERSION} does not state: services\.{kind}\.{half}"):
        usable(files, TODAY, drafts=True)


DAY = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "final"}, "status must be"),
        ({"status": None}, "status must be"),
        ({"status": "approved"}, "says who approved it"),
        ({"status": "approved", "approved_by": "Solvik kommune"}, "and when"),
        ({"status": "approved", "approved_by": "", "approved_on": DAY}, "says who approved it"),
        ({"status": "approved", "approved_by": "Solvik kommune", "approved_on": "2026-01-01"}, "and when"),
        ({"status": "approved", "approved_by": "x", "approved_on": TODAY, "from": DAY}, "before it is approved"),
        ({"status": "withdrawn"}, "says when"),
        ({"purposes": {}}, "purposes"),
        ({"services": {}}, r"services\.other\.does"),
        ({"says": None}, r"says\.asks"),
    ],
)
def test_a_text_whose_standing_or_content_is_unclear_stops_the_start_by_its_name(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(TextsInvalid, match=rf"^text ur {VERSION}.*{why}"):
        usable(spoilt(**changes), TODAY, drafts=True)


@pytest.mark.parametrize("point", ["asks", "purpose", "voluntary"])
@pytest.mark.parametrize("words", ["no name here", "costs $5", "$asker and $purpose and $who"])
def test_who_asks_and_what_for_are_filled_in_and_nothing_else_is(point: str, words: str) -> None:
    files = packaged()
    files["en"]["text"][0]["says"][point] = words
    if (point, words) == ("voluntary", "no name here"):
        usable(files, TODAY, drafts=True)
        return
    with pytest.raises(TextsInvalid, match=rf"^text en {VERSION}: says\.{point} must name exactly"):
        usable(files, TODAY, drafts=True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"language": "nb"}, "does not say that its language is ur"),
        ({"direction": "up"}, "direction must be"),
        ({"direction": "ltr"}, "letters are not written ltr"),
        ({"text": []}, "there is no text"),
    ],
)
def test_a_file_that_contradicts_itself_stops_the_start(changes: dict[str, Any], why: str) -> None:
    files = packaged()
    files["ur"] |= changes
    with pytest.raises(TextsInvalid, match=rf"ur.*{why}"):
        usable(files, TODAY, drafts=True)


def test_a_file_named_like_no_language_stops_the_start() -> None:
    files = packaged()
    files["urdu-Pakistan"] = files["ur"] | {"language": "urdu-Pakistan"}
    with pytest.raises(TextsInvalid, match="urdu-Pakistan"):
        usable(files, TODAY, drafts=True)


def test_two_approved_texts_of_one_language_from_the_same_day_stop_the_start_and_so_do_two_of_one_version() -> None:
    with pytest.raises(TextsInvalid, match=r"^text nb v1 and v2: two approved texts begin on the same day"):
        read(nb=written("nb", v1=approved(), v2=approved()))
    files = packaged()
    files["nb"]["text"] *= 2
    with pytest.raises(TextsInvalid, match=r"^nb: .*the same version"):
        usable(files, TODAY, drafts=True)


def test_production_shows_only_approved_texts_and_needs_one_in_bokmal() -> None:
    for nb in (written("nb", v1=DRAFT), written("nb", v1=approved("2027-01-01")), written("nb", v1=WITHDRAWN)):
        with pytest.raises(TextsInvalid, match="no approved consent text in bokmål"):
            read(nb=nb, nn=written("nn", v1=approved()))
    found = read(nb=written("nb", v1=approved()), nn=written("nn", v1=DRAFT))
    assert found.in_use("nb", TODAY) is not None
    assert found.in_use("nn", TODAY) is None


HISTORY = written(
    "nb", v1=approved("2025-01-01", "2024-12-01"), v2=approved("2026-06-01"), v3=approved("2027-01-01"), v4=DRAFT
)


@pytest.mark.parametrize(
    ("day", "version"), [(date(2025, 1, 1), "v1"), (date(2026, 5, 31), "v1"), (TODAY, "v2"), (date(2027, 1, 1), "v3")]
)
@pytest.mark.parametrize("drafts", [True, False])
def test_an_approved_text_is_used_from_its_day_until_the_next_one_begins_and_goes_before_a_draft(
    day: date, version: str, *, drafts: bool
) -> None:
    text = read(drafts=drafts, nb=HISTORY).in_use("nb", day)
    assert text is not None
    assert text.version == version


@pytest.mark.parametrize(
    ("version", "why"),
    [("v1", TextExpired), ("v3", TextNotApproved), ("v4", TextNotApproved), ("v5", TextUnknown), ("", TextUnknown)],
)
@pytest.mark.parametrize("drafts", [True, False])
def test_only_the_text_in_use_is_evidence_and_any_other_is_refused_for_what_it_is(
    version: str, why: type[RuleBroken], *, drafts: bool
) -> None:
    found = read(drafts=drafts, nb=HISTORY, nn=written("nn", v2=approved()))
    assert found.shown("v2", "nb", TODAY).version == "v2"
    with pytest.raises(why):
        found.shown(version, "nb", TODAY)
    with pytest.raises(TextUnknown):
        found.shown("v2", "fr", TODAY)


def test_a_withdrawn_text_is_never_used_and_the_one_before_it_does_not_come_back() -> None:
    nn = written("nn", v1=approved("2025-01-01", "2024-12-01"), v2=approved("2026-01-01", status="withdrawn"))
    found = read(nb=written("nb", v1=approved()), nn=nn)
    assert found.in_use("nn", date(2025, 6, 1)) is not None
    assert found.in_use("nn", TODAY) is None
    with pytest.raises(TextWithdrawn):
        found.shown("v2", "nn", TODAY)
    with pytest.raises(TextExpired):
        found.shown("v1", "nn", TODAY)


def test_where_drafts_are_shown_it_is_the_newest_and_an_older_one_has_had_its_time() -> None:
    trial = read(drafts=True, nb=written("nb", v1=DRAFT, v2=DRAFT))
    text = trial.in_use("nb", TODAY)
    assert text is not None
    assert text.version == "v2"
    with pytest.raises(TextExpired):
        trial.shown("v1", "nb", TODAY)


@pytest.mark.requirement("F085")
def test_who_has_no_text_in_their_language_is_given_the_next_best_one_to_be_interpreted() -> None:
    found = read(
        nb=written("nb", v1=approved()), en=written("en", v1=approved()), so=written("so", v1=DRAFT),
        fa=written("fa", v1=approved()),
    )  # fmt: skip

    def picked(own: str | None, *wishes: str) -> tuple[str, str]:
        one = found.pick("follow-up", TODAY, own, wishes)
        return one.text.language, one.way

    assert picked("en") == picked("en", "nb") == picked(None, "en") == ("en", "read")
    assert picked("so") == picked("so", "de") == ("nb", "interpreter")
    assert picked("so", "en") == ("en", "interpreter")
    assert picked("fa-AF") == ("fa", "read")
    assert picked(None) == ("nb", "read")
    assert picked(None, "so", "en") == ("en", "interpreter")
    with pytest.raises(PurposeUnknown):
        found.pick("research", TODAY, "nb")


def test_a_language_without_words_for_the_purpose_goes_over_an_interpreter() -> None:
    files = packaged()
    files["nb"]["text"][0]["purposes"]["plan"] = "å lage en individuell plan"
    found = usable(files, TODAY, drafts=True)
    assert found.purposes(TODAY) == {"follow-up", "plan"}
    picked = found.pick("plan", TODAY, "so")
    assert (picked.text.language, picked.way) == ("nb", "interpreter")
    with pytest.raises(PurposeUnknown):
        found.pick("follow-up", TODAY, "so").text.body("x", "plan")


def test_an_answer_without_a_text_in_the_own_language_says_who_interpreted_or_read_aloud() -> None:
    found = read(nb=written("nb", v1=approved()), so=written("so", v1=DRAFT))
    for conveyed in (READ, ALOUD, INTERPRETED):
        found.check_conveyed(conveyed, "follow-up", TODAY, "nb")
    for conveyed in (ALOUD, INTERPRETED):
        found.check_conveyed(conveyed, "follow-up", TODAY, "so")
    with pytest.raises(TextNotConveyed):
        found.check_conveyed(READ, "follow-up", TODAY, "so")


def test_a_change_says_which_parts_and_so_which_consents_it_concerns() -> None:
    told = tomllib.loads(written("nb", v1=DRAFT))["text"][0]["services"]["school"]["does"]
    nb = written("nb", (told, "Skolen er et hus."), v1=approved("2025-01-01", "2024-12-01"), v2=approved())
    found = read(nb=nb, nn=written("nn", v1=WITHDRAWN))
    old, new = found.versions["nb"]["v1"], found.versions["nb"]["v2"]
    assert found.changed(old, TODAY) == frozenset({"services.school"})
    assert found.changed(new, TODAY) == frozenset()
    assert found.changed(found.versions["nn"]["v1"], TODAY) is None
    assert concerned(old, new, "follow-up", "school")
    assert not concerned(old, new, "follow-up", "police")
    assert not concerned(old, new, "follow-up", None)
    assert not concerned(new, new, "follow-up", "school")
    assert concerned(old, None, "follow-up", "police")
    assert concerned(None, new, "follow-up", "police")


def test_a_change_of_the_text_itself_or_of_the_purpose_concerns_every_consent_for_it() -> None:
    texts = usable(packaged(), TODAY, drafts=True)
    old = texts.pick("follow-up", TODAY, "en").text
    for point in POINTS:
        assert concerned(old, replace(old, says={**old.says, point: "Other words."}), "follow-up", "school")
    other = replace(old, purposes={"follow-up": "something else", "plan": "a plan"})
    assert concerned(old, other, "follow-up", "school")
    assert not concerned(other, replace(other, purposes={**other.purposes, "plan": "x"}), "follow-up", "school")


def test_a_kind_of_service_that_gets_words_of_its_own_is_told_otherwise_than_before() -> None:
    old = usable(packaged(), TODAY, drafts=True).pick("follow-up", TODAY, "en").text
    new = replace(old, services={**old.services, "library": Information("It lends books.", "To find books.")})
    assert concerned(old, new, "follow-up", "library")
    assert not concerned(old, new, "follow-up", "museum")
