"""The law table's file: what leaves a question open, or has nobody's name under it, is refused with the row's name."""

import copy
import tomllib
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from consent.handlers.tables import LAW, current_law, law_table
from consent.model.law import Category, Law, LawInvalid, answerers, birthday, sights
from consent.model.law_file import Approval, approval_of, parse

DATA = tomllib.loads(LAW.read_text("utf-8"))
VERSION = DATA["version"]
BORN = date(2011, 3, 14)
SCHOOL, HEALTH = Category("school", special=False), Category("health", special=True)
BOTH = {"subject", "guardians"}


KINDS = ("answer", "sight", "record", "circle", "keep", "share", "exception")


def row(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for kind in KINDS for one in data[kind] if one["id"] == name)
    return found


def changed(change: Callable[[dict[str, Any]], None], **how: Any) -> Law:
    data = copy.deepcopy(DATA)
    change(data)
    return parse(data, **how)


def more(kind: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    """One more row: an answer about the police, or sight of it, unless `fields` say otherwise."""
    usual: dict[str, Any] = {"id": "new", "what": "police", "from_age": 0, "legal": "x", "valid_from": date(2020, 1, 1)}
    own = {
        "answer": usual | {"needs": ["guardians"]},
        "sight": usual | {"who": "parental", "actions": ["read"], "basis": "b"},
        "record": {"id": "new", "fact": "care", "roles": ["leader"], "legal": "x", "valid_from": date(2020, 1, 1)},
    }[kind]
    made = {name: value for name, value in (own | fields).items() if value is not None}
    return lambda data: data[kind].append(made)


def put(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    """Change some fields of a row; None takes a field away."""

    def change(data: dict[str, Any]) -> None:
        found = row(data, name)
        for field, value in fields.items():
            found.pop(field, None)
            if value is not None:
                found[field] = value

    return change


WRONG: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (put("general-15-18", from_age=16), "row general-15-18: a gap from 15 to 16 after row general-12-15"),
    (put("general-15-18", from_age=14), "row general-15-18: it overlaps row general-12-15"),
    (put("general-15-18", to_age=None), "row general-adult: it overlaps row general-15-18"),
    (put("general-0-7", from_age=1), "row general-0-7: a gap from 0 to 1 after row general-unborn"),
    (lambda data: data["answer"].remove(row(data, "general-unborn")), "general-0-7: a gap from unborn to 0 before it"),
    (put("general-unborn", to_age=1), "row general-unborn: what holds before birth ends with it: to_age = 0"),
    (put("general-unborn", to_age=None), "row general-unborn: what holds before birth ends with it: to_age = 0"),
    (put("general-unborn", from_age=-1), "row general-unborn: from_age is not a whole number"),
    (put("general-unborn", past_due=-1), "row general-unborn: past_due is not a whole number"),
    (put("general-unborn", legal=None), "row general-unborn: legal is missing"),
    (put("general-0-7", past_due=3), "row general-0-7: past_due is of rows from unborn"),
    (more("answer", what="class:special", from_age="unborn", to_age=0), "row new: it overlaps row special-unborn"),
    (
        more("sight", who="expectant", what="class:special", from_age="unborn", to_age=0),
        "row new: it overlaps row expectant-content",
    ),
    (put("special-adult", to_age=99), "row special-adult: a gap from 99 on after it"),
    (put("general-12-15", valid_to=date(2027, 1, 1)), "row general-15-18: a gap from 12 to 15 after row general-7-12"),
    (put("parental-health", what=["health", "police"], from_age=3, to_age=3), "parental-health: to_age is not above"),
    (put("parental-health", to_age=-1), "row parental-health: to_age is not a whole number"),
    (put("general-15-18", to_age=14), "row general-15-18: to_age is not above from_age"),
    (put("general-15-18", to_age=15), "row general-15-18: to_age is not above from_age"),
    (put("general-15-18", legal=None), "row general-15-18: legal is missing"),
    (put("general-15-18", legal="  "), "row general-15-18: legal is missing"),
    (put("records-care", legal=""), "row records-care: legal is missing"),
    (put("general-15-18", id=None), "row answer number 4: id is missing"),
    (put("self-content", colour="red"), "row self-content: unknown field colour"),
    (put("records-care", from_age=3), "row records-care: unknown field from_age"),
    (put("self-content", needs=["subject"]), "row self-content: unknown field needs"),
    (put("general-15-18", needs=[]), "row general-15-18: needs is missing"),
    (put("general-15-18", needs=["grandmother"]), "row general-15-18: needs cannot be grandmother"),
    (put("general-15-18", needs=["subject", "subject"]), "row general-15-18: needs says something twice"),
    (put("general-15-18", asks=["x"]), "row general-15-18: asks cannot be x"),
    (put("general-15-18", hears=["x"]), "row general-15-18: hears cannot be x"),
    (put("general-15-18", needs=[1]), "row general-15-18: needs is missing"),
    (put("general-15-18", what="class:secret"), "row general-15-18: what names an unknown class, class:secret"),
    (put("general-15-18", what=None), "row general-15-18: what is missing"),
    (put("general-15-18", capacity=["drunk"]), "row general-15-18: capacity cannot be drunk"),
    (put("general-15-18", care=["aunt"]), "row general-15-18: care cannot be aunt"),
    (put("general-15-18", party=["once"]), "row general-15-18: party cannot be once"),
    (put("general-15-18", municipality=""), "row general-15-18: municipality is missing"),
    (put("general-15-18", from_age=None), "row general-15-18: from_age is not a whole number"),
    (put("general-15-18", from_age=True), "row general-15-18: from_age is not a whole number"),
    (put("general-15-18", from_age=15.0), "row general-15-18: from_age is not a whole number"),
    (put("general-15-18", valid_from=None), "row general-15-18: valid_from is not a date"),
    (put("general-15-18", valid_from="2020-01-01"), "row general-15-18: valid_from is not a date"),
    (put("general-15-18", valid_to=date(2018, 7, 20)), "row general-15-18: valid_to is not after valid_from"),
    (put("general-15-18", verified_at="yesterday"), "row general-15-18: verified_at is not a date"),
    (put("self-content", who="aunt"), "row self-content: who cannot be aunt"),
    (put("self-content", actions=["delete"]), "row self-content: actions cannot be delete"),
    (put("self-content", actions=None), "row self-content: actions is missing"),
    (put("self-content", basis=None), "row self-content: basis is missing"),
    (put("records-care", fact="weather"), "row records-care: fact cannot be weather"),
    (put("records-care", roles=["admin"]), "row records-care: roles cannot be admin"),
    (put("records-care", roles=[]), "row records-care: roles is missing"),
    (put("records-care", sectors=[""]), "row records-care: sectors is missing"),
    (put("general-15-18", id="general-adult"), "row general-adult: there is another row of this name"),
    (more("answer", to_age=12, what=["police", "police"]), "row new: what says something twice"),
    (more("sight", id="self-content"), "row self-content: there is another row of this name"),
    (more("record", id="self-content"), "row self-content: there is another row of this name"),
    (more("sight", what="class:general", to_age=3), "row new: it overlaps row parental-general"),
    (more("sight", what=["police", "class:general"], from_age=17), "row new: it overlaps row parental-general"),
    (lambda data: data.update(colour="red"), "row head: unknown field colour"),
    (lambda data: data.update(zone="Europe/Nowhere"), "row head: zone is not one"),
    (lambda data: data.update(zone="../secrets"), "row head: zone is not one"),
    (lambda data: data.update(zone=1), "row head: zone is missing"),
    (lambda data: data.update(strict_needs=[]), "row head: strict_needs is missing"),
    (lambda data: data.update(strict_needs=["aunt"]), "row head: strict_needs cannot be aunt"),
    (lambda data: data.update(longest_days="long"), "row head: longest_days is not a whole number"),
    (lambda data: data.update(version=""), "row head: version is missing"),
    (lambda data: data.pop("project"), "row head: project is missing"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[f"{n} {told}" for n, (_, told) in enumerate(WRONG)])
@pytest.mark.requirement("F101")
def test_a_table_that_leaves_a_question_open_is_refused_with_the_rows_name(
    change: Callable[[dict[str, Any]], None], told: str
) -> None:
    with pytest.raises(LawInvalid) as refused:
        changed(change)
    assert str(refused.value).startswith("law table, row ")
    assert told in str(refused.value)


def test_rows_of_another_period_sector_or_municipality_do_not_overlap() -> None:
    later = date(2030, 1, 1)
    special = {"from_age": 12, "to_age": 18, "what": "class:special"}
    for fields in (
        special | {"sector": "health"}, special | {"municipality": "Solvik"}, special | {"valid_from": later},
    ):  # fmt: skip
        data = copy.deepcopy(DATA)
        if fields.get("valid_from") == later:
            row(data, "special-12-18")["valid_to"] = later
        more("answer", **fields)(data)
        assert parse(data).version == VERSION


def test_a_sectors_rule_lets_the_youth_decide_alone_towards_that_sector_only() -> None:
    rule = more(
        "answer", what="class:special", sector=["health", "gp"], from_age=16, to_age=18, needs=["subject"],
        verified_by="Solvik", verified_at=date(2026, 1, 1),
    )  # fmt: skip
    law, on = changed(rule), birthday(BORN, 16)
    for sector, needs in (("health", {"subject"}), ("gp", {"subject"}), ("police", BOTH), (None, BOTH)):
        asked = Category("health", sector=sector)
        assert answerers(law, asked, BORN, on).needs == needs
        assert answerers(law, asked, BORN, birthday(BORN, 15)).needs == BOTH


def test_a_municipalitys_own_rows_take_the_place_of_the_countrys_there_and_nowhere_else() -> None:
    own = more(
        "answer", what="class:general", municipality="Solvik", from_age=15, to_age=16, needs=["subject", "guardians"],
        verified_by="Solvik", verified_at=date(2026, 1, 1),
    )  # fmt: skip
    none = more("sight", what=["class:general"], municipality="Solvik", to_age=15, actions=["read"], verified_by="S",
        verified_at=date(2026, 1, 1))  # fmt: skip
    on = birthday(BORN, 15)
    for where, needs in (("Solvik", BOTH), ("Havn", {"subject"}), (None, {"subject"})):
        assert answerers(changed(own, municipality=where), SCHOOL, BORN, on).needs == needs
        seen = sights(changed(none, municipality=where), "parental", [SCHOOL], BORN, on)
        assert {sight.category for sight in seen} == {"looks", "grants"} | ({"school"} if where != "Solvik" else set())
    assert answerers(changed(own, municipality="Solvik"), SCHOOL, BORN, birthday(BORN, 16)).needs == {"subject"}


def test_a_row_that_gives_no_sight_takes_it_away() -> None:
    closed = more("sight", what=["school"], actions=[], verified_by="S", verified_at=date(2026, 1, 1))
    seen = sights(changed(closed), "parental", [SCHOOL], BORN, date(2026, 1, 1))
    assert {one.category for one in seen} == {"looks", "grants"}


def solvik(data: dict[str, Any]) -> None:
    for kind in KINDS:
        for one in data[kind]:
            one["verified_by"] = "Solvik kommune"


APPROVAL = {"version": VERSION, "by": "Kari Lov, kommuneadvokat", "at": date(2026, 11, 20)}


def test_production_wants_a_name_under_every_row_that_is_not_the_projects() -> None:
    with pytest.raises(LawInvalid, match=r"row general-0-7: nobody who may has verified or approved it"):
        parse(DATA, production=True)
    assert changed(solvik, production=True).version == VERSION

    def but_one(data: dict[str, Any]) -> None:
        solvik(data)
        del row(data, "records-care")["verified_at"]

    with pytest.raises(LawInvalid, match="row records-care"):
        changed(but_one, production=True)
    signed = approval_of(APPROVAL)
    assert parse(DATA, approval=signed, production=True).version == VERSION
    assert changed(but_one, production=True, approval=approval_of(APPROVAL | {"rows": ["records-care"]}))
    with pytest.raises(LawInvalid, match="row records-care"):
        changed(but_one, production=True, approval=approval_of(APPROVAL | {"rows": ["records-party"]}))


def test_an_approval_counts_as_verification_of_this_very_version() -> None:
    def unverify(data: dict[str, Any]) -> None:
        for one in data["answer"]:
            del one["verified_by"]

    on = birthday(BORN, 15)
    assert answerers(changed(unverify), SCHOOL, BORN, on).needs == BOTH
    law = changed(unverify, approval=approval_of(APPROVAL))
    assert answerers(law, SCHOOL, BORN, on).needs == {"subject"}
    kinds: tuple[Any, ...] = (law.answers, law.sights, law.records, law.circles)
    for rows in (*kinds, law.say.keeps, law.say.shares, law.say.exceptions):
        assert {row.source.verified_by for row in rows} == {APPROVAL["by"]}
    assert {one.source.verified_at for one in law.answers} == {APPROVAL["at"]}
    with pytest.raises(LawInvalid, match="the approval is of version older, the table is version 20"):
        parse(DATA, approval=approval_of(APPROVAL | {"version": "older"}))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"by": " "}, "by is missing"), ({"by": None}, "by is missing"), ({"at": None}, "at is not a date"),
        ({"at": "2026-11-20"}, "at is not a date"), ({"version": None}, "version is missing"),
        ({"colour": "red"}, "unknown field colour"), ({"rows": []}, "rows is missing"), ({"rows": [1]}, "rows is"),
    ],
)  # fmt: skip
def test_an_approval_has_a_name_and_a_date(fields: dict[str, Any], told: str) -> None:
    data = {name: value for name, value in (APPROVAL | fields).items() if value is not None}
    with pytest.raises(LawInvalid, match=f"approval: {told}"):
        approval_of(data)


def test_an_approval_of_some_rows_leaves_the_names_under_the_others() -> None:
    law = parse(DATA, approval=approval_of(APPROVAL | {"rows": ["general-0-7"]}))
    by = {row.source.row: row.source.verified_by for row in law.answers}
    assert (by["general-0-7"], by["general-7-12"]) == (APPROVAL["by"], "project")


def test_the_head_and_who_records_are_read() -> None:
    law = parse(DATA)
    assert (law.longest_days, law.zone.key) == (1827, "Europe/Oslo")
    assert law.strict_needs == BOTH
    [row] = [row for row in law.answers if row.source.row == "general-12-15"]
    assert row.asks == row.hears == {"subject"}
    assert {(row.kind, row.roles, row.sectors) for row in law.records} == {
        ("responsibility", ("professional", "leader"), ()), ("care", ("professional", "leader"), ("child-welfare",)),
        ("party", ("professional", "leader"), ("child-welfare",)), ("capacity", ("leader",), ()),
        ("pregnancy", ("professional", "leader"), ("health",)),
    }  # fmt: skip
    assert changed(lambda data: data.pop("record")).records == ()


def test_the_mark_tells_tables_apart_that_answer_differently() -> None:
    laws = [
        parse(DATA), parse(DATA, municipality="Solvik"), parse(DATA, approval=approval_of(APPROVAL)),
        parse(DATA, approval=Approval(VERSION, "Ola", APPROVAL["at"])), changed(put("general-15-18", legal="other")),
        parse(DATA, approval=approval_of(APPROVAL | {"rows": ["general-0-7"]})),
        parse(DATA, approval=approval_of(APPROVAL | {"at": date(2026, 11, 21)})),
    ]  # fmt: skip
    assert len({law.mark for law in laws}) == len(laws)
    assert {len(law.mark) for law in laws} == {24}
    assert parse(copy.deepcopy(DATA)).mark == laws[0].mark == current_law().mark


def test_a_file_is_read_with_its_approval(tmp_path: Any) -> None:
    table, signed = tmp_path / "law.toml", tmp_path / "approval.toml"
    table.write_text(LAW.read_text("utf-8").replace(VERSION, "mine"), "utf-8")
    signed.write_text('version = "mine"\nby = "Kari"\nat = 2026-11-20\n', "utf-8")
    law = law_table(table, approval=signed, production=True)
    assert (law.version, law.answers[0].source.verified_by) == ("mine", "Kari")
    with pytest.raises(LawInvalid, match="row general-0-7"):
        law_table(None, production=True)


def test_every_age_is_data() -> None:
    assert {0, 7, 12, 15, 16, 18} <= set(current_law().ages)


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("keep-special", {"by": ["guardian"]}, "by cannot be guardian"),
        ("keep-special", {"sectors": [""]}, "sectors is missing"),
        ("share-with-others", {"to": []}, "to is missing"),
        ("life-and-health-guardians", {"to": []}, "to is missing"),
        ("life-and-health-guardians", {"municipality": ""}, "municipality is missing"),
        ("keep-special", {"by": []}, "by is missing"),
        ("keep-special", {"reasons": []}, "reasons is missing"),
        ("keep-special", {"roles": ["admin"]}, "roles cannot be admin"),
        ("keep-special", {"to_age": 12}, "to_age is not above from_age"),
        ("keep-special", {"what": "class:secret"}, "what names an unknown class, class:secret"),
        ("keep-special", {"legal": ""}, "legal is missing"),
        ("keep-special", {"until": 1}, "unknown field until"),
        ("share-with-others", {"to": ["police"]}, "to cannot be police"),
        ("life-and-health-guardians", {"longest_hours": 0}, "longest_hours is not between 1 and 168"),
        ("life-and-health-guardians", {"longest_hours": 169}, "longest_hours is not between 1 and 168"),
        (
            "life-and-health-guardians",
            {"to": ["service"]},
            "an exception for a service needs the municipality that has turned it on",
        ),
    ],
)
def test_a_row_about_the_own_say_that_leaves_something_open_stops_the_start_by_its_name(
    name: str, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(LawInvalid) as refused:
        changed(lambda data: row(data, name).update(fields))
    assert str(refused.value) == f"law table, row {name}: {told}"


def test_rows_about_a_protection_are_read_whole() -> None:
    assert [(row.source.row, row.protection, row.sectors, row.guardians) for row in parse(DATA).circles] == [
        ("circle-confidential", ("klientadresse", "fortrolig"), (), "masked"),
        ("circle-strict", ("strengtFortrolig",), ("child-welfare",), "nothing"),
    ]


def test_rows_about_the_own_say_are_read_whole() -> None:
    both = {"by": ["professional", "subject"], "reasons": ["danger"], "roles": ["leader"], "sectors": ["school"]}

    def change(data: dict[str, Any]) -> None:
        row(data, "keep-danger").update(both)
        row(data, "share-with-others").update({"to": ["other", "guardian"], "to_age": 99})

    say = changed(change).say
    special, general, danger = say.keeps
    assert (special.what, special.from_age, special.to_age, special.by) == (("class:special",), 12, 18, ("subject",))
    assert special.reasons == ("wish-respected", "conflict-at-home", "danger")
    assert (special.roles, special.sectors) == (("professional",), ("health", "child-welfare"))
    assert general.sectors == (), "of any service that has asked"
    assert (danger.by, danger.reasons, danger.roles) == (("subject", "professional"), ("danger",), ("leader",))
    assert danger.sectors == ("school",)
    guardian, other = say.shares
    assert (guardian.what, guardian.from_age, guardian.to_age) == (("class:general", "class:special"), 15, None)
    assert (guardian.to, other.to, other.to_age) == (("guardian",), ("guardian", "other"), 99)
    [shown] = say.exceptions
    assert (shown.what, shown.from_age, shown.to_age) == (("class:general", "class:special"), 0, 18)
    assert (shown.to, shown.reasons, shown.roles) == (("guardians",), ("life", "serious-harm"), ("professional",))
    assert (shown.sectors, shown.longest_hours, shown.municipality) == (("health", "child-welfare"), 48, None)


@pytest.mark.parametrize("hours", [1, 168])
def test_an_exception_lasts_an_hour_at_the_least_and_a_week_at_the_most(hours: int) -> None:
    law = changed(lambda data: row(data, "life-and-health-guardians").update({"longest_hours": hours}))
    assert law.say.exceptions[0].longest_hours == hours


def test_an_exception_for_a_service_is_off_but_where_a_municipality_has_turned_it_on() -> None:
    def on(data: dict[str, Any]) -> None:
        own = {
            **row(data, "life-and-health-guardians"),
            "id": "solvik-read",
            "to": ["service"],
            "municipality": "Solvik",
        }
        data["exception"].append(own)

    health, day = Category("health"), date(2026, 11, 23)
    assert changed(on).say.exception(health, 15, day, "service") is None
    assert changed(on, municipality="Havn").say.exception(health, 15, day, "service") is None
    found = changed(on, municipality="Solvik").say.exception(health, 15, day, "service")
    assert found is not None and found.source.row == "solvik-read"


def test_a_row_about_the_own_say_that_nobody_has_verified_gives_nothing() -> None:
    def unsigned(data: dict[str, Any]) -> None:
        for name in ("keep-special", "share-with-others", "life-and-health-guardians"):
            del row(data, name)["verified_by"]

    health, day = Category("health"), date(2026, 11, 23)
    before, after = parse(DATA).say, changed(unsigned).say
    assert before.keep(health, 13, day, "subject") and not after.keep(health, 13, day, "subject")
    assert before.share(health, 40, day, "other") and not after.share(health, 40, day, "other")
    assert before.exception(health, 13, day, "guardians") and not after.exception(health, 13, day, "guardians")
