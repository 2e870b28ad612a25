"""The law table in plain words: what holds for somebody on a day and why, and the whole of it for a lawyer to read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, get_args

from consent.model.births import UNBORN, Born, Unborn
from consent.model.facts import Facts, Situation, situation
from consent.model.law import (
    GENERAL,
    PARTICIPANTS,
    SPECIAL,
    SYSTEM_CATEGORIES,
    AnswerRow,
    Category,
    CircleRow,
    Law,
    RecordRow,
    Row,
    SightRow,
    Source,
    Who,
    age,
    answerers,
    sights,
)
from consent.model.own_say import ExceptionRow, KeepRow, ShareRow

_WHO = {
    "subject": "the person", "guardians": "the guardians", "representatives": "whom the decision names",
    "self": "the person", "parental": "the guardians", "representative": "whom the decision names",
    "expectant": "the expectant mother",
}  # fmt: skip
_WHAT = {
    GENERAL: "general content", SPECIAL: "special categories", PARTICIPANTS: "who takes part",
    "looks": "who has looked", "grants": "who may see",
}  # fmt: skip
_ALL = "class:"


def told(law: Law, born: Born, on: date, facts: Facts) -> dict[str, Any]:
    """What holds for somebody on a day: who answers about each class and category that rows name, towards each sector
    that rows name, and who sees; with the rows and their sources."""
    return {
        "law": law.version, **_birth(born, on), "on": on.isoformat(),
        "situation": _situation(situation(facts, on)),
        "answers": [
            _answer(law, category, born, on, facts, sector)
            for sector in (None, *_sectors(law)) for category in _categories(law)
            if sector is None or any(sector in row.sectors for row in law.answers)
        ],
        "sights": [
            one for who in get_args(Who) for category in (*_categories(law), *_SYSTEM)
            if (one := _sight(law, who, category, born, on, facts)) is not None
        ],
    }  # fmt: skip


_SYSTEM = tuple(Category(id_) for id_ in SYSTEM_CATEGORIES)


def _birth(born: Born, on: date) -> dict[str, Any]:
    if isinstance(born, Unborn):
        return {"born": None, "due": born.due.isoformat(), "age": None}
    return {"born": born.isoformat(), "due": None, "age": age(born, on)}


def _situation(now: Situation) -> dict[str, Any]:
    return {
        "responsibility": now.responsibility, "care": now.care, "capacity": now.capacity,
        "party by decision": sorted(what or "everything" for what in now.parties),
    }  # fmt: skip


def _sectors(law: Law) -> list[str]:
    return sorted({sector for row in law.answers for sector in row.sectors})


def _categories(law: Law) -> list[Category]:
    """One of each class that no row names, and every category that one does. Those count as special: so they are."""
    rows: list[Row] = [*law.answers, *law.sights]
    named = {what for row in rows for what in row.what if not what.startswith(_ALL)} - set(SYSTEM_CATEGORIES)
    return [Category(GENERAL, special=False), Category(SPECIAL), *(Category(id_) for id_ in sorted(named))]


def _answer(law: Law, category: Category, born: Born, on: date, facts: Facts, sector: str | None) -> dict[str, Any]:
    found = answerers(law, Category(category.id, category.special, sector), born, on, facts)
    return {
        "what": category.id, "sector": sector, "needs": sorted(found.needs), "asks": sorted(found.asks),
        "hears": sorted(found.hears), "until": None if found.until is None else found.until.isoformat(),
        "strict": found.strict, **_why(None if found.row is None else found.row.source),
    }  # fmt: skip


def _sight(law: Law, who: Who, category: Category, born: Born, on: date, facts: Facts) -> dict[str, Any] | None:
    every = {row.source.row: row.source for row in law.sights}
    for sight in sights(law, who, [category], born, on, facts):
        if sight.category == category.id:
            return {
                "who": who, "what": category.id, "actions": list(sight.actions), "from": sight.start.isoformat(),
                "until": None if sight.end is None else sight.end.isoformat(), "now": sight.start <= on,
                "rows": [{"row": row, **_why(every[row])} for row in sight.rows],
            }  # fmt: skip
    return None


def _why(source: Source | None) -> dict[str, Any]:
    if source is None:
        return {"row": None, "legal": "no row fits: the strict default", "verified_by": None}
    return {"row": source.row, "legal": source.legal, "verified_by": source.verified_by or None}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What `told` gives, as sentences."""
    said = [f"{name} {_said(value)}" for name, value in found["situation"].items() if value]
    whose = (
        f"Due {found['due']}, and not born" if found["due"] else f"Born {found['born']}, so {found['age']} years old"
    )
    yield f"Law table {found['law']}. {whose} on {found['on']}."
    yield f"Recorded: {'; '.join(said)}."
    yield "\nWho must answer"
    for one in found["answers"]:
        where = f" towards {one['sector']}" if one["sector"] else ""
        until = f"; others from {one['until']} on" if one["until"] else ""
        yield f"  {what(one['what'])}{where}: {_needs(one)}{until}"
        yield f"      {_because(one)}{' (strict: nobody has verified the row)' if one['strict'] and one['row'] else ''}"
    yield "\nWho sees by law"
    for one in found["sights"]:
        since = "" if one["now"] else f" from {one['from']}"
        until = f" until {one['until']}" if one["until"] else ""
        yield f"  {_WHO[one['who']]}: {what(one['what'])} ({', '.join(one['actions'])}){since}{until}"
        yield from (f"      {_because(row)}" for row in one["rows"])


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _because(one: Mapping[str, Any]) -> str:
    return one["legal"] if one["row"] is None else f"row {one['row']}: {one['legal']}"


def _needs(one: Mapping[str, Any]) -> str:
    parts = [f"yes from {_named(one['needs'])}"]
    if asked := [party for party in one["asks"] if party not in one["needs"]]:
        parts.append(f"{_named(asked)} asked too")
    if one["hears"]:
        parts.append(f"{_named(one['hears'])} must be heard")
    return "; ".join(parts)


def _named(parties: Iterable[str]) -> str:
    return " and ".join(_WHO[party] for party in sorted(parties, key=list(_WHO).index))


def what(id_: str) -> str:
    """A category or class in words."""
    return _WHAT.get(id_, id_)


def page(law: Law) -> Iterator[str]:
    """The whole table in Markdown."""
    yield f"# Who decides and who sees, by age: law table {law.version}\n"
    yield (
        f"Where no row fits, a yes is needed from {_named(law.strict_needs)}, and nobody sees anything by law. A row "
        "that nobody has verified counts no more than that. The person's own no always stops. Ages count from the "
        f"birthday, as days begin in {law.zone.key}. A consent lasts at most {law.longest_days} days.\n"
    )
    yield "\n## Who must answer\n"
    yield from _tabled(
        ("row", "about", "for whom", "ages", "who", "source", "verified", "in force"),
        [[*_head(row, row.sectors), _needs(_plain(row)), *_foot(row.source)] for row in law.answers],
    )
    yield "\n## Who sees by law\n"
    yield from _tabled(
        ("row", "about", "for whom", "ages", "who sees", "source", "verified", "in force"),
        [[*_head(row, ()), _sees(row), *_foot(row.source)] for row in law.sights],
    )
    yield "\n## Who records what the table must know\n"
    yield from _tabled(
        ("row", "what", "who", "source", "verified", "in force"),
        [
            [row.source.row, row.kind, _recorders(row), *_foot(row.source)]
            for row in law.records
        ],
    )  # fmt: skip
    yield "\n## Who may know where somebody under address protection is\n"
    yield from _tabled(
        ("row", "protection", "besides the person and those hidden with them", "guardians outside see", "source",
         "verified", "in force"),
        [
            [row.source.row, ", ".join(row.protection), _inside(row), _left(row), *_foot(row.source)]
            for row in law.circles
        ],
    )  # fmt: skip

    yield from _own_say(law)


def _own_say(law: Law) -> Iterator[str]:
    """The rows about what somebody may keep and show, and the exception."""
    yield "\n## What may be kept from those who see by law\n"
    yield from _tabled(
        ("row", "about", "ages", "by whose word", "reason, set by", "source", "verified", "in force"),
        [
            [*_about(row), " or ".join(row.by), f"{', '.join(row.reasons)}: {_set_by(row)}", *_foot(row.source)]
            for row in law.say.keeps
        ],
    )  # fmt: skip
    yield "\n## Whom somebody alone lets see more\n"
    yield from _tabled(
        ("row", "about", "ages", "whom", "source", "verified", "in force"),
        [[*_about(row), " or ".join(row.to), *_foot(row.source)] for row in law.say.shares],
    )
    yield "\n## The exception for life and health\n"
    yield from _tabled(
        ("row", "about", "ages", "shown to", "reason, by", "hours", "source", "verified", "in force"),
        [
            [
                *_about(row), " or ".join(row.to), f"{', '.join(row.reasons)}: {_set_by(row)}",
                str(row.longest_hours), *_foot(row.source),
            ]
            for row in law.say.exceptions
        ],
    )  # fmt: skip


def _about(row: KeepRow | ShareRow | ExceptionRow) -> list[str]:
    return [row.source.row, ", ".join(what(one) for one in row.what), _ages(row.from_age, row.to_age)]


def _ages(first: int, last: int | None) -> str:
    if first == UNBORN:
        return "before birth"
    return f"from {first} {'on' if last is None else f'until {last}'}"


def _set_by(row: KeepRow | ExceptionRow) -> str:
    return f"{' or '.join(row.roles)} of {', '.join(row.sectors) or 'any service'} that has asked about the person"


def _recorders(row: RecordRow) -> str:
    return f"{' or '.join(row.roles)} of {', '.join(row.sectors) or 'any service'} that has asked about the person"


def _inside(row: CircleRow) -> str:
    return f"{', '.join(row.sectors)} services" if row.sectors else "every service that has to do with them"


def _left(row: CircleRow) -> str:
    return "content without places" if row.guardians == "masked" else "nothing"


def _tabled(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(row: AnswerRow) -> dict[str, Any]:
    return {"needs": row.needs, "asks": sorted(row.asks), "hears": sorted(row.hears)}


def _sees(row: SightRow) -> str:
    actions = {"read": "reads", "contribute": "writes"}
    return f"{_WHO[row.who]} {' and '.join(actions[one] for one in row.actions) or 'nothing'}"


def _head(row: Row, sectors: Sequence[str]) -> list[str]:
    about = ", ".join(what(one) for one in row.what) + (f", towards {', '.join(sectors)}" if sectors else "")
    reach = row.reach
    whom = [
        {"parents": "in the parents' care", "child-welfare": "in child welfare's care"}[one] for one in reach.care
    ] if reach.care != ("parents",) else []  # fmt: skip
    able = {"able": "with capacity", "lacking": "without capacity", "temporarily": "for a time without capacity"}
    whom += [able[one] for one in reach.capacity] if reach.capacity != ("able",) else []
    whom += ["a party by decision"] if "decision" in reach.party else []
    whom += [f"in {reach.municipality}"] if reach.municipality else []
    past = "" if reach.past_due is None else f", {reach.past_due} days past the due date at most"
    return [row.source.row, about, "; ".join(whom) or "everybody", _ages(reach.from_age, reach.to_age) + past]


def _foot(source: Source) -> list[str]:
    signed = f"{source.verified_by}, {source.verified_at}" if source.verified() else "nobody"
    return [source.legal, signed, f"{source.valid_from} – {source.valid_to or ''}".strip()]
