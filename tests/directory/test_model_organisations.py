"""Organisation numbers, public contact points, and the search for a service."""

from datetime import date

import pytest

from directory.model import Ages, Contact, Service, matching, stale, valid_orgnr
from directory.model.contact import contact_trouble, text_trouble, words

OWN = words(["Skolehelsetjenesten", "Gamlebyen helsestasjon", "Oppfølgingsteamet 15–17", "school-health"])


@pytest.mark.parametrize("number", ["991825827", "974760673"])
def test_a_real_organisation_number_is_taken_in_production(number: str) -> None:
    assert valid_orgnr(number, synthetic=False)


@pytest.mark.parametrize("number", ["312870118", "313876144"])
def test_a_synthetic_organisation_number_is_taken_only_where_people_are_synthetic(number: str) -> None:
    assert valid_orgnr(number, synthetic=True)
    assert not valid_orgnr(number, synthetic=False)


@pytest.mark.parametrize(
    "number",
    ["991825828", "99182582", "9918258270", "99182582x", "112870118", "\u0669" * 9, "312870100"],
)
def test_a_number_that_fails_its_check_is_refused(number: str) -> None:
    assert not valid_orgnr(number, synthetic=True)


def test_exactly_one_check_digit_fits_or_none() -> None:
    for head in range(87_000_000, 87_000_200):
        fitting = [digit for digit in range(10) if valid_orgnr(f"{head}{digit}", synthetic=False)]
        assert len(fitting) <= 1


@pytest.mark.requirement("F026")
@pytest.mark.parametrize(
    ("kind", "value", "trouble"),
    [
        ("email", "kari.nordmann@gamlebyen.example", "personal-email"),
        ("email", "kari@gamlebyen.example", "personal-email"),
        ("email", "post.kari@gamlebyen.example", "personal-email"),
        ("email", "91234567@gamlebyen.example", "personal-email"),
        ("email", "skolehelsetjenesten@gmail.com", "private-email-provider"),
        ("email", "Kari Nordmann <post@gamlebyen.example>", "not-an-email"),
        ("phone", "912 34 567", "personal-phone"),
        ("phone", "+47 41 23 45 67", "personal-phone"),
        ("phone", "0047 91234567", "personal-phone"),
        ("phone", "+46 70 123 45 67", "not-a-phone"),
        ("phone", "ring Kari", "not-a-phone"),
        ("web", "http://gamlebyen.example", "not-a-web-address"),
        ("web", "https://kari@gamlebyen.example/", "not-a-web-address"),
        ("web", "javascript:alert(1)", "not-a-web-address"),
        ("web", "https://[broken", "not-a-web-address"),
        ("visit", "Spør etter Kari på 912 34 567", "personal-phone-in-text"),
        ("visit", "kari@gamlebyen.example", "email-in-text"),
    ],
)
def test_a_contact_point_that_looks_personal_is_refused(kind: str, value: str, trouble: str) -> None:
    assert contact_trouble(Contact(kind, value), OWN) == trouble


@pytest.mark.requirement("F026")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "skolehelsetjenesten@gamlebyen.example"),
        ("email", "skolehelse@gamlebyen.example"),
        ("email", "oppfolgingsteamet@gamlebyen.example"),
        ("email", "post.gamlebyen@gamlebyen.example"),
        ("phone", "20 00 00 10"),
        ("phone", "+47 22 00 00 00"),
        ("phone", "02800"),
        ("phone", "116 111"),
        ("phone", "815 00 000"),
        ("web", "https://gamlebyen.example/ungdom"),
        ("visit", "Skolegata 1, 0655 Solvik"),
    ],
)
def test_a_contact_point_of_the_service_itself_is_taken(kind: str, value: str) -> None:
    assert contact_trouble(Contact(kind, value), OWN) is None


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("Ta kontakt på 913 45 678", "personal-phone-in-text"),
        ("Skriv til kari@x.example", "email-in-text"),
        ("Født 010190 12345", "national-id-in-text"),
        ("Åpent 2026–2027, 1 000 000 kroner, kl. 09.00–15.30, 15–17 år", None),
    ],
)
def test_running_text_holds_no_contact_points(text: str, trouble: str | None) -> None:
    assert text_trouble(text) == trouble


def _service(**more: object) -> Service:
    given: dict[str, object] = {
        "id": "follow-up-team", "agency": "district", "kind": "follow-up", "status": "listed", "ages": Ages(15, 17),
        "area": "Gamlebyen", "names": {"nb": "Oppfølgingsteamet", "se": "Čuovvolanjoavku"},
        "responsibility": {"nb": "Samordner hjelpen til unge"}, "contacts": (),
        "reviewed": date(2026, 1, 1), "review_due": date(2027, 1, 1), **more,
    }  # fmt: skip
    return Service(**given)  # type: ignore[arg-type]


@pytest.mark.requirement("F029")
@pytest.mark.parametrize(
    ("age", "text", "found"),
    [
        (None, "", True), (15, "", True), (17, "", True), (14, "", False), (18, "", False),
        (16, "samordne HJELP", True), (None, "oppfolging", True), (None, "cuovvolan", True), (None, "bydelen", True),
        (None, "gamlebyen", True), (None, "tannlege", False), (None, "unge tannlege", False), (None, "ordner", False),
    ],
)  # fmt: skip
def test_a_service_is_found_by_age_and_by_the_beginnings_of_its_words(age: int | None, text: str, found: bool) -> None:
    assert matching(_service(), age=age, wanted=words([text]), agency_names={"nb": "Bydelen"}) is found


def test_an_entry_is_stale_from_the_day_after_its_review_was_due() -> None:
    assert not stale(date(2026, 1, 2), date(2026, 1, 2))
    assert stale(date(2026, 1, 2), date(2026, 1, 3))
