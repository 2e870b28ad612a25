"""The words for looks: each language says the same, each route has words, a sentence tells no more than its look."""

import copy
import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import consent.handlers.tables as tables
from consent.model.words import Known, Words, WordsInvalid, frames, pick, usable
from gateway.model import decide

FILE = Path(tables.__file__).parents[1] / "data" / "words.toml"
SERVICES = Path(__file__).parents[2] / "services"
OSLO = ZoneInfo("Europe/Oslo")


def data() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))


def words(language: str = "nb") -> Words:
    return usable(data(), OSLO)[language]


def a_look(**more: Any) -> dict[str, Any]:
    return {
        "at": "2026-11-22T12:05:00.000Z", "actor": {"role": "professional"}, "route": "logbook.get-items",
        "action": "read", "basis": "grant", "purpose": "follow-up", "outcome": "answered", "reason": None, "count": 1,
        "held_back": None,
    } | more  # fmt: skip


def known(**more: Any) -> Known:
    given: dict[str, Any] = {
        "who": "staff", "services": ["Skolehelsetjenesten"], "categories": ["skole", "helse"],
        "consents": [datetime(2026, 3, 2, 23, 30, tzinfo=UTC)], "by_law": False,
    }  # fmt: skip
    return Known(**(given | more))


def paths(table: Any, before: str = "") -> dict[str, str]:
    """Every text of a table by its place."""
    found: dict[str, str] = {}
    for name, value in table.items():
        inner = paths(value, f"{before}{name}/") if isinstance(value, dict) else {before + name: str(value)}
        found.update(inner)
    return found


@pytest.mark.requirement("F176")
def test_a_look_is_told_with_who_when_what_why_and_by_what_right() -> None:
    assert words().sentence(a_look(), known()) == (
        "22. november 2026 kl. 13.05: En som jobber i Skolehelsetjenesten leste om skole og helse. "
        "Det var for å følge opp det dere er enige om. "
        "Det var lov fordi det er sagt ja til det (samtykke fra 3. mars 2026)."
    )
    assert words("en").sentence(a_look(), known()) == (
        "22 November 2026 at 13:05: Somebody who works at Skolehelsetjenesten read about skole and helse. "
        "It was for following up what you agree on. "
        "It was allowed because somebody said yes to it (consent from 3 March 2026)."
    )


def test_a_refusal_says_why_and_claims_no_right() -> None:
    told = words().sentence(a_look(outcome="refused", reason="no-grant", count=4), known(categories=[], consents=[]))
    assert told == (
        "22. november 2026 kl. 13.05: En som jobber i Skolehelsetjenesten prøvde å se i loggen, men fikk ikke lov. "
        "Grunnen: ingen har sagt ja til det. Dette skjedde 4 ganger."
    )


@pytest.mark.requirement("F176")
def test_who_changed_what_is_told_by_the_kind_of_thing() -> None:
    told = words().sentence(a_look(action="contribute", route="logbook.set-goal"), known(categories=["skole"]))
    assert "En som jobber i Skolehelsetjenesten skrev et mål om skole." in told
    unheard = words().sentence(a_look(action="contribute", route="logbook.later"), known(categories=["skole"]))
    assert "skrev om skole." in unheard
    nothing_named = words().sentence(a_look(action="contribute", route="logbook.set-goal"), known(categories=[]))
    assert "skrev i loggen." in nothing_named


def test_what_was_held_back_is_told_as_it_was() -> None:
    stopped = words().sentence(a_look(held_back="decided-anew"), known())
    assert stopped.endswith("Svaret ble stoppet, så ingenting ble vist.")
    written = words().sentence(a_look(held_back="decided-anew", action="contribute"), known())
    assert written.endswith("Det kan være at det som ble skrevet, er lagret.")
    broken = words().sentence(a_look(held_back="cut-off", action="contribute"), known())
    assert broken.endswith("En del av det kan ha kommet fram.")


def test_people_are_told_by_what_they_are_to_the_log_and_never_named() -> None:
    said = {who: words().sentence(a_look(), known(who=who, services=[])) for who in ("you", "subject", "guardian")}
    begins = [one.partition(": ")[2] for one in said.values()]
    assert [one.split(" leste")[0] for one in begins] == ["Du", "Den loggen handler om", "En forelder eller foresatt"]
    officer = words().sentence(a_look(actor={"role": "privacy-officer"}, purpose=None), known(services=[], consents=[]))
    assert "Personvernombudet leste" in officer
    assert "ser ikke hva som står i loggen" in officer


def test_every_language_tells_every_kind_of_look() -> None:
    for language, one in usable(data(), OSLO).items():
        texts = [
            one.sentence(a_look(**look), known(who=who))
            for who in ("you", "subject", "guardian", "person", "staff", "machine")
            for look in (
                {}, {"action": "contribute", "route": "x"}, {"action": "none", "route": "x"},
                {"outcome": "refused", "reason": "unheard-of"}, {"held_back": "internal", "count": 2},
            )
        ]  # fmt: skip
        assert all("$" not in text and text.endswith(".") for text in texts), language


def test_every_language_says_all_that_bokmal_says() -> None:
    assert set(usable(data(), OSLO)) == {"nb", "nn", "en", "se"}
    for place in ("routes/logbook.set-goal", "says/consent", "paper/receipt", "months"):
        spoilt = copy.deepcopy(data())
        table, *names = spoilt["words"][3], *place.split("/")
        for name in names[:-1]:
            table = table[name]
        del table[names[-1]]
        with pytest.raises(WordsInvalid, match=re.escape(names[-1])):
            usable(spoilt, OSLO)
    other = copy.deepcopy(data())
    other["words"][1]["says"]["purpose"] = "Det var for $reason."
    with pytest.raises(WordsInvalid, match="names other things"):
        usable(other, OSLO)


def test_every_recorded_route_about_somebody_has_words() -> None:
    recorded = {
        route["id"]
        for file in SERVICES.glob("*/contract/routes.json")
        for route in json.loads(file.read_text())
        if "{subject}" in route["path"]
        and (route["record"] or (route["lease"] == "none" and route["method"] == "POST"))
    }
    assert {"logbook.add-entry", "consent.withdraw", "consent.register-withdrawal"} <= recorded
    without = recorded - set(data()["words"][0]["routes"])
    assert not without, "say in consent/data/words.toml what these do"


def test_every_reason_of_the_decision_has_words() -> None:
    reasons = set(re.findall(r'Refusal\("([a-z-]+)"\)', Path(decide.__file__).read_text()))
    reasons |= set(re.findall(r'reason = "([a-z-]+)"', Path(decide.__file__).read_text()))
    without_a_subject = {"unknown-subject", "not-attached"}
    assert reasons - without_a_subject <= set(data()["words"][0]["reasons"])


def test_drafts_say_that_they_are_and_an_approved_table_names_who_approved_it() -> None:
    assert {one.status for one in usable(data(), OSLO).values()} == {"draft"}
    unsigned = data()
    unsigned["words"][0]["status"] = "approved"
    with pytest.raises(WordsInvalid, match="who approved"):
        usable(unsigned, OSLO)


def test_the_first_language_there_are_words_for_is_picked_else_bokmal() -> None:
    found = usable(data(), OSLO)
    assert pick(found, None, "fr", "se").language == "se"
    assert pick(found, "uk").language == "nb"


@pytest.mark.parametrize("language", ["nb", "nn", "en", "se"])
def test_a_withdrawal_is_told_by_what_ends_and_by_what_earlier_readers_keep(language: str) -> None:
    said, day = words(language), datetime(2026, 3, 2, 12, tzinfo=UTC)
    whole = said.ended("Politiet", [], {}, confirmed=True)
    one = said.ended("Politiet", ["helse"], {}, confirmed=True)
    parts = [
        said.ended("Politiet", ["helse"], part, confirmed=True)
        for part in ({"staff": "constable-7"}, {"back_to": day}, {"until": day})
    ]
    assert len({whole, one, *parts}) == 5
    assert all("Politiet" in text and text.endswith(said.said("ended", "keeps", service="Politiet")) for text in parts)
    assert all("helse" in text for text in (one, *parts)) and "helse" not in whole
    assert "constable" not in parts[0] and all("2026" in text for text in parts[1:])
    assert said.table["ended"]["pending"] in said.ended("Politiet", [], {}, confirmed=False)
    assert said.table["ended"]["pending"] not in whole


FORMS = FILE.with_name("forms.toml")


def forms() -> dict[str, Any]:
    return tomllib.loads(FORMS.read_text("utf-8"))


@pytest.mark.requirement("F085")
def test_a_form_has_words_in_every_language_that_has_a_consent_text() -> None:
    languages = {file.stem for file in (FILE.parent / "texts").glob("*.toml")}
    found = frames(forms(), usable(data(), OSLO), OSLO)
    assert found.keys() == languages
    for language, one in found.items():
        text = tomllib.loads((FILE.parent / "texts" / f"{language}.toml").read_text("utf-8"))
        assert (one.status, one.direction) == ("draft", text["direction"]), language
    assert found["uk"].moment(datetime(2026, 3, 2, 12, tzinfo=UTC), "date") == "2.03.2026"
    assert found["fa"].category("school", {"nb": "Skole"}) == "skole"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one["form"].pop("how"), "ar: form: how is missing"),
        (lambda one: one["form"].update(why="لماذا"), "ar: form: why names other things"),
        (lambda one: one.update(language="nb"), "nb: it has words already"),
        (lambda one: one.update(status="approved"), "ar: it has words already, or nobody who approved them"),
    ],
)
def test_words_for_a_form_that_lack_something_are_refused(spoil: Any, said: str) -> None:
    spoilt = forms()
    spoil(spoilt["form"][0])
    with pytest.raises(WordsInvalid, match=said):
        frames(spoilt, usable(data(), OSLO), OSLO)
