"""How fast `decide` is at growing numbers of grants, and against Cedar on the same questions, interleaved."""

import json
import random
import statistics
import time
from collections.abc import Iterator

import cedarpy

from chassis.permit import Actor, Permit
from gateway.model.decide import Question, decide
from gateway.model.facts import Facts
from tests.bench.report import Figure

SIZES = (1_000, 100_000, 1_000_000)
GRANTS_EACH = 4  # two services, the subject and a guardian
CATEGORIES = ("school", "health", "family", "leisure")
SERVICES = 40
QUESTIONS = 20_000
CEDAR_QUESTIONS = 1_000
NOW = 1_000.0


def state(subject: str, number: int) -> bytes:
    """One subject as `consent` publishes it."""
    services = [f"service:s{number % SERVICES}", f"service:s{(number + 7) % SERVICES}"]
    recipients = [*services, f"person:{subject}", "person:p"]
    grants = [
        {
            "id": f"{subject}-{place}", "kind": "consent", "recipient": recipient,
            "categories": [CATEGORIES[(number + place) % 4], CATEGORIES[(number + place + 1) % 4]],
            "actions": ["read", "contribute"], "purpose": "follow-up", "basis": "gdpr-6-1-a+9-2-a",
            "from": 0, "until": 10_000, "back": None, "except": [],
        }
        for place, recipient in enumerate(recipients)
    ]  # fmt: skip
    return json.dumps({"version": 1, "subject": subject, "grants": grants, "requests": []}).encode()


def known(grants: int) -> tuple[Facts, float]:
    """Facts with so many grants, and the seconds that applying took."""
    facts = Facts()
    _directory(facts)
    values = [(f"subject-{n}", state(f"subject-{n}", n)) for n in range(grants // GRANTS_EACH)]
    began = time.perf_counter()
    for subject, value in values:
        facts.apply_subject(subject, 1, "consent.state.v1", value)
    return facts, time.perf_counter() - began


def _directory(facts: Facts) -> None:
    def put(kind: str, name: str, **more: object) -> None:
        body = {"version": 1, "kind": kind, "id": name, **more}
        facts.apply_entity(f"{kind}:{name}", 1, "directory.state.v1", json.dumps(body).encode())

    put("agency", "a", orgnr="991825827")
    for category in CATEGORIES:
        put("category", category)
    for number in range(SERVICES):
        put("service", f"s{number}", agency="a")
        put("staff", f"w{number}", services=[f"s{number}"], role="professional")


def questions(subjects: int, count: int, seed: int) -> list[Question]:
    """Random members of staff about random subjects: some are granted, most are not."""
    chance = random.Random(seed)
    actors = [Actor("staff", f"w{number}", assurance="high") for number in range(SERVICES)]
    found = []
    for _ in range(count):
        subject = chance.randrange(subjects)
        worker = subject % SERVICES if chance.random() < 0.5 else chance.randrange(SERVICES)
        found.append(Question(actors[worker], f"subject-{subject}", "read", chance.choice(CATEGORIES)))
    return found


def timed(facts: Facts, asked: list[Question]) -> list[float]:
    """Microseconds for each question."""
    taken = []
    clock = time.perf_counter_ns
    for question in asked:
        began = clock()
        decide(question, facts, NOW)
        taken.append((clock() - began) / 1_000)
    return taken


def measure() -> Iterator[Figure]:
    """p50 at every size, its growth, and the ratio to Cedar."""
    medians: dict[int, list[float]] = {size: [] for size in SIZES}
    worlds = {}
    for size in SIZES:
        worlds[size] = known(size)[0]
    for round_ in range(3):  # interleaved: the machine is noisy
        for size, facts in worlds.items():
            asked = questions(size // GRANTS_EACH, QUESTIONS, round_)
            medians[size].append(statistics.median(timed(facts, asked)))
    p50 = {size: statistics.median(found) for size, found in medians.items()}
    for size in SIZES:
        yield Figure(f"decide p50 at {size:,} grants", p50[size], "us", "<= 6", "2")
    yield Figure("decide growth from 1,000 to 1,000,000 grants", p50[SIZES[-1]] / p50[SIZES[0]], "x", "<= 2", "1.5")
    yield _against_cedar(worlds[SIZES[0]])


def _against_cedar(facts: Facts) -> Figure:
    """The same questions, interleaved one by one; Cedar's policies and entities are parsed beforehand."""
    rule = "permit(principal, action, resource) when { resource.readers.contains(principal) };"
    policies = cedarpy.PolicySet.from_str(rule)
    names = sorted({f"subject-{n}" for n in range(SIZES[0] // GRANTS_EACH)})
    cells = {(name, category): set() for name in names for category in CATEGORIES}  # type: ignore[var-annotated]
    for name in names:
        for grant in facts.subjects[name].grants:
            for category in grant.categories:
                cells[name, category].add(grant.recipient)
    services = [f"service:s{number}" for number in range(SERVICES)]
    entities = cedarpy.Entities.from_json_str(
        json.dumps(
            [
                {
                    "uid": {"type": "Cell", "id": f"{name}|{category}"}, "parents": [],
                    "attrs": {"readers": [{"__entity": {"type": "Recipient", "id": r}} for r in sorted(readers)]},
                }
                for (name, category), readers in cells.items()
            ]
            + [{"uid": {"type": "Recipient", "id": service}, "parents": [], "attrs": {}} for service in services]
        )
    )  # fmt: skip
    ours, theirs = [], []
    for question in questions(len(names), CEDAR_QUESTIONS, 99):
        request = {
            "principal": f'Recipient::"service:s{(question.actor.id or "w")[1:]}"', "action": 'Action::"read"',
            "resource": f'Cell::"{question.subject}|{question.category}"', "context": {},
        }  # fmt: skip
        began = time.perf_counter_ns()
        decision = decide(question, facts, NOW)
        middle = time.perf_counter_ns()
        answer = cedarpy.is_authorized(request, policies, entities)
        ended = time.perf_counter_ns()
        if isinstance(decision, Permit) != answer.allowed:
            raise AssertionError("Cedar and decide do not agree")
        ours.append(middle - began)
        theirs.append(ended - middle)
    return Figure("cedarpy to decide, p50", statistics.median(theirs) / statistics.median(ours), "x", ">= 10", "30")
