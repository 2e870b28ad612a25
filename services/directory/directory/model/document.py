"""The whole document of a district: what it must fulfil, and the entities it says there are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from directory.model.contact import contact_trouble, folded, text_trouble, words
from directory.model.entities import Agency, Category, District, Entity, Member, Service, Texts, plain, valid_orgnr
from directory.model.guide import PHASES, GuideSource, Level, OwnStep, Step, merged
from directory.model.refusals import Finding, Refused

STATUSES = ("listed", "attached", "declined")
ROLES = ("professional", "leader", "admin", "privacy-officer")
_FOR_SERVICES = ("professional", "leader")


@dataclass(frozen=True, slots=True)
class Document:
    """Everything a district says about itself; what it no longer says is no longer so."""

    district: District
    categories: tuple[Category, ...]
    agencies: tuple[Agency, ...]
    services: tuple[Service, ...]
    staff: tuple[Member, ...]
    guide: GuideSource | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What the directory already holds and a document cannot simply overwrite.

    orgnrs: number -> agency of other districts. categories: those of this district. attached: service -> agency, of
    every live attachment of this district's services. used: agencies of this district with services in another.
    guide: is there one already?
    """

    orgnrs: Mapping[str, str]
    categories: frozenset[str]
    attached: Mapping[str, str]
    used: frozenset[str]
    guide: bool


def check(document: Document, kept: Kept, *, synthetic: bool) -> None:
    """Refused with every finding, so that a document is mended in one go."""
    findings = [
        *_doubled(document), *_agencies(document, kept, synthetic=synthetic), *_services(document),
        *_staff(document), *_guide(document), *_lost(document, kept), *_public_texts(document),
    ]  # fmt: skip
    if findings:
        raise Refused(*findings)


def entities(document: Document) -> list[Entity]:
    """What is stored and published, in an order in which nothing is told before what it refers to."""
    levels = [] if document.guide is None else [level.level for level in merged(document.guide).levels]
    listed: list[tuple[str, Iterable[District | Category | Agency | Service | Member]]] = [
        ("category", document.categories), ("agency", document.agencies), ("service", document.services),
        ("staff", document.staff), ("district", [document.district]),
    ]  # fmt: skip
    found = []
    for kind, ones in listed:
        for one in ones:
            body = plain(one)
            del body["id"]
            if kind == "service":
                body["district"] = document.district.id
            if kind == "district":
                body["levels"] = levels
            found.append(Entity(kind, one.id, body))
    return found


def _doubled(document: Document) -> Iterator[Finding]:
    lists: dict[str, list[str]] = {
        "categories": [one.id for one in document.categories], "agencies": [one.id for one in document.agencies],
        "services": [one.id for one in document.services], "staff": [one.id for one in document.staff],
        "agencies/orgnr": [one.orgnr for one in document.agencies],
    }  # fmt: skip
    for where, ids in lists.items():
        if len(set(ids)) != len(ids):
            yield Finding(where, "doubled")


def _agencies(document: Document, kept: Kept, *, synthetic: bool) -> Iterator[Finding]:
    parents = {one.id: one.parent for one in document.agencies}
    for place, agency in enumerate(document.agencies):
        where = f"agencies/{place}"
        if not valid_orgnr(agency.orgnr, synthetic=synthetic):
            yield Finding(f"{where}/orgnr", "not-an-organisation-number")
        if kept.orgnrs.get(agency.orgnr, agency.id) != agency.id:
            yield Finding(f"{where}/orgnr", "taken")
        if agency.parent is not None and agency.parent not in parents:
            yield Finding(f"{where}/parent", "unknown-agency")
        if _circular(agency.id, parents):
            yield Finding(f"{where}/parent", "circular")


def _circular(start: str, parents: Mapping[str, str | None]) -> bool:
    step, left = parents.get(start), len(parents)
    while step is not None and step != start and left:
        step, left = parents.get(step), left - 1
    return step == start


def _services(document: Document) -> Iterator[Finding]:
    agencies = {one.id: one for one in document.agencies}
    for place, service in enumerate(document.services):
        where = f"services/{place}"
        agency = agencies.get(service.agency)
        if agency is None:
            yield Finding(f"{where}/agency", "unknown-agency")
        if service.status not in STATUSES:
            yield Finding(f"{where}/status", "unknown-status")
        if service.ages.first > service.ages.last:
            yield Finding(f"{where}/ages", "backwards")
        if service.review_due < service.reviewed:
            yield Finding(f"{where}/review_due", "backwards")
        names = [service.id, *service.names.values(), *document.district.names.values(), service.area]
        own = words([*names, *([] if agency is None else [agency.id, *agency.names.values()])])
        for number, contact in enumerate(service.contacts):
            trouble = contact_trouble(contact, own)
            if trouble is not None:
                yield Finding(f"{where}/contacts/{number}", trouble)


def _staff(document: Document) -> Iterator[Finding]:
    services = {one.id for one in document.services}
    for place, member in enumerate(document.staff):
        if member.role not in ROLES:
            yield Finding(f"staff/{place}/role", "unknown-role")
        if member.role in _FOR_SERVICES and not member.services:
            yield Finding(f"staff/{place}/services", "none")
        if not set(member.services) <= services or len(set(member.services)) != len(member.services):
            yield Finding(f"staff/{place}/services", "unknown-service")


def _lost(document: Document, kept: Kept) -> Iterator[Finding]:
    """Grants name categories, and attachments name services: neither may lose its meaning by leaving a line out."""
    if kept.categories - {one.id for one in document.categories}:
        yield Finding("categories", "category-removed")
    now = {one.id: one.agency for one in document.services}
    if any(now.get(service) != agency for service, agency in kept.attached.items()):
        yield Finding("services", "still-attached")
    if kept.used - {one.id for one in document.agencies}:
        yield Finding("agencies", "still-used")
    if kept.guide and document.guide is None:
        yield Finding("guide", "guide-removed")


def _guide(document: Document) -> Iterator[Finding]:
    if document.guide is None:
        return
    guide = document.guide
    tools = {tool.id for tool in guide.template.tools}
    numbers = [level.level for level in guide.template.levels]
    if guide.owner not in {one.id for one in document.agencies}:
        yield Finding("guide/owner", "unknown-agency")
    if guide.review_due < guide.reviewed:
        yield Finding("guide/review_due", "backwards")
    if len(set(numbers)) != len(numbers):
        yield Finding("guide/template/levels", "doubled")
    if not set(guide.override.drop_levels) <= set(numbers):
        yield Finding("guide/override/drop_levels", "unknown-level")
    for place, level in enumerate(guide.template.levels):
        yield from _level(level, f"guide/template/levels/{place}", tools, numbers)
    yield from _override(guide, tools)


def _override(guide: GuideSource, tools: set[str]) -> Iterator[Finding]:
    by_number = {level.level: level for level in guide.template.levels}
    for place, change in enumerate(guide.override.levels):
        where = f"guide/override/levels/{place}"
        if change.level not in by_number or change.level in guide.override.drop_levels:
            yield Finding(where, "unknown-level")
            continue
        steps = {step.id for step in by_number[change.level].steps}
        if not set(change.drop_steps) <= steps:
            yield Finding(f"{where}/drop_steps", "unknown-step")
        yield from _steps(change.steps, where, tools)
        known = steps | {own.id for own in change.steps} | {None}
        if any(own.after not in known for own in change.steps):
            yield Finding(f"{where}/steps", "unknown-step")


def _level(level: Level, where: str, tools: set[str], numbers: list[int]) -> Iterator[Finding]:
    yield from _steps(level.steps, where, tools)
    if any(outcome.to_level is not None and outcome.to_level not in numbers for outcome in level.outcomes):
        yield Finding(f"{where}/outcomes", "unknown-level")
    if level.shares == "nothing" and level.create_log is not None and level.create_log.allowed:
        yield Finding(f"{where}/create_log", "log-where-nothing-is-shared")


def _steps(steps: Iterable[Step | OwnStep], where: str, tools: set[str]) -> Iterator[Finding]:
    counted = Counter(step.id for step in steps)
    if any(times > 1 for times in counted.values()):
        yield Finding(f"{where}/steps", "doubled")
    for place, step in enumerate(steps):
        if step.phase not in PHASES:
            yield Finding(f"{where}/steps/{place}/phase", "unknown-phase")
        if not set(step.tools) <= tools:
            yield Finding(f"{where}/steps/{place}/tools", "unknown-tool")


def _public_texts(document: Document) -> Iterator[Finding]:
    """Nothing that anybody may read names an employee or holds a contact point in its running text (F026)."""
    people = [folded(member.name) for member in document.staff]
    for where, texts in _texts_of(document):
        if "nb" not in texts:
            yield Finding(where, "no-bokmål")
        yield from _personal(where, texts.values(), people)
    settings = [part for one in document.district.settings.values() for part in _strings(one)]
    yield from _personal("district/settings", settings, people)
    yield from _personal("district/municipality", [document.district.municipality], people)
    for place, service in enumerate(document.services):
        yield from _personal(f"services/{place}/area", [service.area], people)


def _personal(where: str, texts: Iterable[str], people: list[str]) -> Iterator[Finding]:
    for text in texts:
        trouble = text_trouble(text)
        if trouble is None and any(one in folded(text) for one in people):
            trouble = "names-an-employee"
        if trouble is not None:
            yield Finding(where, trouble)


def _strings(value: object) -> list[str]:
    """The texts in a setting."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _texts_of(document: Document) -> Iterator[tuple[str, Texts]]:
    yield "district/names", document.district.names
    yield from ((f"categories/{n}/names", one.names) for n, one in enumerate(document.categories))
    yield from ((f"agencies/{n}/names", one.names) for n, one in enumerate(document.agencies))
    for place, service in enumerate(document.services):
        yield f"services/{place}/names", service.names
        yield f"services/{place}/responsibility", service.responsibility
    if document.guide is not None:
        yield from _texts_in(plain(document.guide), "guide")


def _texts_in(value: object, where: str) -> Iterator[tuple[str, Texts]]:
    """Texts anywhere below: objects whose members are language codes."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name in ("names", "text", "who", "purpose", "when"):
                yield f"{where}/{name}", one
            else:
                yield from _texts_in(one, f"{where}/{name}")
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _texts_in(one, f"{where}/{place}")
