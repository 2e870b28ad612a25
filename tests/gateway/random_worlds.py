"""Random worlds, and the same rules said once more in Cedar's own language: `decide` and Cedar must never differ."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cedarpy

from chassis.permit import Actor, Permit
from gateway.model.decide import Admission, Question, decide
from gateway.model.facts import Facts

NOW = 1_000
CATEGORIES = ("school", "health", "leisure", "gone", "astrology")
"""`gone` is no longer in use, and nobody has ever heard of `astrology`."""
SERVICES, STAFF, PEOPLE = 5, 6, 4
ACTIONS = ("read", "contribute")
BASES = ("self", "agency", "role:professional", "role:admin,leader", "asked", "asker", "asked-or-asker")


@dataclass(frozen=True, slots=True)
class World:
    """Directory, one subject's state (None: unknown; `closed`: its last record could not be read)."""

    agencies: dict[str, bool]
    services: dict[str, tuple[str, bool]]
    staff: dict[str, tuple[tuple[str, ...], str, bool]]
    machines: dict[str, tuple[tuple[str, ...], bool]]
    grants: tuple[dict[str, Any], ...]
    requests: tuple[dict[str, Any], ...]
    kept: dict[str, Any] | None
    known: bool
    closed: bool


def world(chance: random.Random) -> World:
    """One world, small enough that what is asked often meets a grant."""
    agencies = {f"a{n}": chance.random() < 0.85 for n in range(2)}
    services = {f"s{n}": (chance.choice(["a0", "a1", "a9"]), chance.random() < 0.85) for n in range(SERVICES)}
    names = [*services, "s9"]
    staff = {
        f"w{n}": (
            tuple(chance.sample(names, chance.randint(0, 4))), chance.choice(["professional", "leader", "admin"]),
            chance.random() < 0.85,
        )
        for n in range(STAFF)
    }  # fmt: skip
    machines = {f"m{n}": (tuple(chance.sample(names, 2)), chance.random() < 0.8) for n in range(2)}
    recipients = [*(f"service:{one}" for one in names), *(f"person:p{n}" for n in range(PEOPLE))]
    grants = tuple(_grant(chance, n, recipients) for n in range(chance.randint(0, 10)))
    requests = tuple(
        {"id": f"r{n}", "asker": chance.choice(recipients), "asked": [f"p{chance.randrange(PEOPLE)}"], "open": True}
        for n in range(chance.randint(0, 2))
    )
    kept = None
    if chance.random() < 0.6:
        items = [{"id": f"i{n}", "category": chance.choice(CATEGORIES)} for n in chance.sample(range(3), 2)]
        kept = {"categories": chance.sample(CATEGORIES, chance.randint(0, 2)), "items": items}
    return World(
        agencies, services, staff, machines, grants, requests, kept, chance.random() < 0.95, chance.random() < 0.05
    )


def _grant(chance: random.Random, number: int, recipients: list[str]) -> dict[str, Any]:
    kind, purpose = chance.choice([("consent", "follow-up"), ("parental", "insight"), ("consent", "life-and-health")])
    return {
        "id": f"g{number}", "kind": kind,
        "recipient": chance.choice(recipients),
        "categories": chance.sample(CATEGORIES, chance.randint(1, 4)),
        "actions": chance.choice([["read"], ["contribute"], *[["read", "contribute"]] * 3, ["delete"], []]),
        "purpose": purpose, "from": chance.choice([0, 0, 0, 0, 999, NOW, 1_001]),
        "until": chance.choice([None, None, 5_000, 5_000, 999, NOW, 1_001]), "back": None,
        "except": chance.sample([f"w{n}" for n in range(STAFF)], chance.choice([0, 0, 0, 0, 1, 2])),
    }  # fmt: skip


def facts_of(found: World) -> Facts:
    """As the gateway holds it, from the records that the owners publish."""
    facts = Facts()

    def put(kind: str, name: str, **more: Any) -> None:
        body = {"version": 1, "kind": kind, "id": name, **more}
        facts.apply_entity(f"{kind}:{name}", 1, "directory.state.v1", json.dumps(body).encode())

    for name, active in found.agencies.items():
        put("agency", name, active=active)
    for name, (agency, active) in found.services.items():
        put("service", name, agency=agency, active=active)
    for name, (services, role, active) in found.staff.items():
        put("staff", name, services=services, role=role, active=active)
    for name, (services, active) in found.machines.items():
        put("attachment", name, services=services, active=active, agency="a0")
    for category in CATEGORIES[:4]:
        put("category", category, active=category != "gone")
    if found.known:
        body: dict[str, Any] = {"version": 1, "subject": "s", "grants": found.grants, "requests": found.requests}
        if found.kept is not None:
            body["kept"] = found.kept
        facts.apply_subject("s", 1, "consent.state.v1", json.dumps(body).encode())
    if found.closed:
        facts.apply_subject("s", 2, "consent.state.v1", b"not a state")
    return facts


def policies_of(found: World) -> str:
    """The rules in Cedar: one policy for each grant, and one for each other basis."""
    rules = []
    high = 'principal.assurance == "high"'
    readable = "resource.readable"
    for grant in found.grants:
        kind, _, name = grant["recipient"].partition(":")
        acts = (
            f'principal == Actor::"person:{name}"'
            if kind == "person"
            else f'principal.active && principal.services.contains("{name}") && {_in_force(found, name)}'
        )
        actions = ", ".join(f'Action::"{one}"' for one in grant["actions"]) or 'Action::"nothing"'
        times = f"{grant['from']} <= context.now"
        times += "" if grant["until"] is None else f" && context.now < {grant['until']}"
        excluded = json.dumps(grant["except"])
        rules.append(
            f'permit(principal, action in [{actions}], resource == Subject::"s") when {{ context.basis == "grant"'
            f" && {high} && {readable} && {acts} && {times} && !{excluded}.contains(principal.id)"
            f" && {json.dumps(grant['categories'])}.contains(context.category) && context.in_use"
            f" && !({_hidden(found, grant)}) }};"
        )
    rules.append(
        f'permit(principal, action, resource) when {{ context.basis == "self" && {high} && principal.id != "" &&'
        ' (principal.kind == "person" || (principal.kind == "staff" && principal.active)) };'
    )
    rules.append(
        f'permit(principal, action, resource) when {{ context.basis == "agency" && {high} &&'
        ' principal.kind == "machine" && principal.active };'
    )
    for basis, roles in (("role:professional", ["professional"]), ("role:admin,leader", ["admin", "leader"])):
        rules.append(
            f'permit(principal, action, resource) when {{ context.basis == "{basis}" && {high} &&'
            f' principal.kind == "staff" && principal.active && {json.dumps(roles)}.contains(principal.role) }};'
        )
    for request in found.requests:
        rules.append(
            f'permit(principal, action, resource) when {{ ["asked", "asked-or-asker"].contains(context.basis) &&'
            f' {high} && {readable} && principal.kind == "person" &&'
            f" {json.dumps(request['asked'])}.contains(principal.id) }};"
        )
        kind, _, name = request["asker"].partition(":")
        acts = (
            f'principal == Actor::"person:{name}"'
            if kind == "person"
            else f'principal.active && principal.services.contains("{name}") && {_in_force(found, name)}'
        )
        rules.append(
            f'permit(principal, action, resource) when {{ ["asker", "asked-or-asker"].contains(context.basis) &&'
            f" {high} && {readable} && {acts} }};"
        )
    return "\n".join(rules)


def _hidden(found: World, grant: dict[str, Any]) -> str:
    """What is kept of an item under this grant, as a Cedar expression: `context.item` "" asks for no item."""
    if found.kept is None:
        return "false"
    from_people = 'context.item != "" && principal.kind == "person" && context.by != principal.id'
    from_people += ' && principal.id != "s"'
    categories = json.dumps(found.kept["categories"]) if grant["kind"] == "parental" else "[]"
    items = json.dumps([one["id"] for one in found.kept["items"]])
    kept = f"{categories}.contains(context.category)"
    if grant["purpose"] != "life-and-health":
        kept += f" || {items}.contains(context.item)"
    return f"{from_people} && ({kept})"


def _in_force(found: World, service: str) -> str:
    """Whether the service may act, as a Cedar expression over the entities."""
    if service not in found.services:
        return "false"
    agency, _ = found.services[service]
    if agency not in found.agencies:
        return "false"
    return f'Service::"{service}".active && Agency::"{agency}".active'


def entities_of(found: World) -> list[dict[str, Any]]:
    """What the policies speak of."""

    def entity(type_: str, name: str, /, **attributes: Any) -> dict[str, Any]:
        return {"uid": {"type": type_, "id": name}, "parents": [], "attrs": attributes}

    def actor(kind: str, name: str, assurance: str, services: tuple[str, ...], role: str, active: bool) -> Any:
        attributes = {
            "kind": kind, "id": name, "assurance": assurance, "services": list(services), "role": role,
            "active": active,
        }  # fmt: skip
        return entity("Actor", f"{kind}:{name}" + ("" if assurance == "high" else f":{assurance}"), **attributes)

    made = [entity("Agency", name, active=active) for name, active in found.agencies.items()]
    made += [entity("Service", name, active=active) for name, (_, active) in found.services.items()]
    made.append(entity("Subject", "s", readable=found.known and not found.closed))
    for kind, name, assurance in actors():
        if kind == "staff":
            services, role, active = found.staff.get(name, ((), "", False))
        elif kind == "machine":
            services, active = found.machines.get(name, ((), False))
            role = ""
        else:
            services, role, active = (), "", False
        made.append(actor(kind, name, assurance, services, role, active))
    return made


def actors() -> Iterator[tuple[str, str, str]]:
    """Kind, name ('' for somebody logged in but not matched) and assurance of everybody who may ask."""
    names = [("staff", f"w{n}") for n in range(STAFF)] + [("staff", "w9"), ("staff", "")]
    names += [("person", f"p{n}") for n in range(PEOPLE)] + [("person", "")]
    names += [("machine", "m0"), ("machine", "m1"), ("machine", "m9")]
    for kind, name in names:
        yield kind, name, "high"
    yield "staff", "w0", "substantial"
    yield "person", "p0", "low"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two do not agree."""

    seed: int
    question: Question
    ours: bool
    cedars: bool


def compare(seed: int, questions: int) -> tuple[int, list[Difference]]:
    """So many questions about one world, put to both; how many were compared, and where they differ."""
    chance = random.Random(seed)
    found = world(chance)
    facts = facts_of(found)
    asked = [_with_item(chance, found, question(chance, found)) for _ in range(questions)]
    answers = cedarpy.is_authorized_batch([_request(*one) for one in asked], policies_of(found), entities_of(found))
    differences = []
    for (one, item, by), answer in zip(asked, answers, strict=True):
        if answer.diagnostics.errors:
            raise AssertionError(f"Cedar could not decide: {answer.diagnostics.errors}")
        decision = decide(one, facts, NOW)
        ours = isinstance(decision, Permit | Admission)
        if isinstance(decision, Permit) and item and decision.kept is not None:
            ours = not decision.kept.hides(one.category, item, by)
        if isinstance(decision, Permit) and (one.category or "") not in decision.categories():
            raise AssertionError("a permit without the category that was asked for")
        if ours != answer.allowed:
            differences.append(Difference(seed, one, ours, answer.allowed))
    return len(asked), differences


def question(chance: random.Random, found: World) -> Question:
    """One question: mostly about content, and there mostly about something that a grant speaks of."""
    kind, name, assurance = chance.choice(_ACTORS)
    category = chance.choice(CATEGORIES)
    if found.grants and chance.random() < 0.7:
        grant = chance.choice(found.grants)
        category = chance.choice(grant["categories"])
        standing = [one for one in _ACTORS if _stands_for(found, one, grant["recipient"])]
        kind, name, assurance = chance.choice(standing or _ACTORS)
    actor = Actor(kind, name or None, assurance=assurance)  # type: ignore[arg-type]
    if chance.random() < 0.75:
        return Question(actor, "s", chance.choice(ACTIONS), category)  # type: ignore[arg-type]
    return Question(actor, "s", "none", None, chance.choice(BASES))


def _with_item(chance: random.Random, found: World, one: Question) -> tuple[Question, str, str]:
    """The question, which item it is about ("": none), and who wrote that; often one that is kept."""
    if one.basis != "grant" or chance.random() < 0.4:
        return one, "", ""
    by = chance.choice(["w0", "p0", one.actor.id or "p1"])
    if found.kept is not None and chance.random() < 0.5:
        item = chance.choice(found.kept["items"])
        return replace(one, category=item["category"]), item["id"], by
    return one, "another", by


def _stands_for(found: World, who: tuple[str, str, str], recipient: str) -> bool:
    kind, name, _ = who
    services = {"staff": found.staff.get(name, ((),))[0], "machine": found.machines.get(name, ((),))[0]}.get(kind, ())
    return recipient == f"person:{name}" if kind == "person" else recipient.removeprefix("service:") in services


_ACTORS = list(actors())


def _request(asked: Question, item: str, by: str) -> dict[str, Any]:
    actor = asked.actor
    name = f"{actor.kind}:{actor.id or ''}" + ("" if actor.assurance == "high" else f":{actor.assurance}")
    category = asked.category or ""
    return {
        "principal": f'Actor::"{name}"', "action": f'Action::"{asked.action}"', "resource": 'Subject::"s"',
        "context": {
            "basis": asked.basis, "category": category, "now": NOW, "in_use": category in CATEGORIES[:3],
            "item": item, "by": by,
        },
    }  # fmt: skip
