"""Nothing that says something about anybody lies where it must not: planted at every door, searched everywhere."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from local_stack.kafka import ADMIN
from local_stack.vault import Vault
from samlogg.__main__ import main as samlogg
from story.world import read
from tests.journeys import searching
from tests.journeys.conftest import Demo
from tests.journeys.planting import Canaries, plant
from tests.journeys.searching import Found, Search
from tests.stack import Kafka

pytestmark = pytest.mark.timeout(600)

EVERYWHERE = ("samlogg_dead_letters_total", "samlogg_part_failures_total")
METRICS = {
    "consent": (
        "samlogg_leader", "samlogg_leases_live", "samlogg_horizon_lag", "samlogg_changes_unconfirmed",
        "samlogg_outbox_oldest_seconds", "samlogg_ledger_lag",
    ),
    "directory": ("samlogg_directory_unpublished", "samlogg_directory_unconfirmed", "samlogg_consumer_lag"),
    "logbook": ("samlogg_outbox_oldest_seconds", "samlogg_consumer_lag"),
    "notify": ("samlogg_outbox_oldest_seconds", "samlogg_consumer_lag", "samlogg_deliveries", "samlogg_mails_total"),
    "gateway-1": (
        "samlogg_decisions_total", "samlogg_lease_seconds_left", "samlogg_outbox_oldest_seconds",
        "samlogg_consumer_lag", "samlogg_access_records_total",
    ),
}  # fmt: skip
"""design.md section 10: what each process tells besides EVERYWHERE. Each must have a value, not only a name."""


@dataclass(frozen=True, slots=True)
class Planted:
    """The stack after the canaries went through it."""

    demo: Demo
    canaries: Canaries
    answers: list[str]
    bus: Kafka

    @property
    def search(self) -> Search:
        """For all of them."""
        return Search(self.canaries.planted)


@pytest.fixture(scope="module")
def planted(demo: Demo) -> Iterator[Planted]:
    world, canaries = demo.world(), Canaries()
    answers = asyncio.run(plant(read(world), canaries, world["services"]))
    searching.settled(world["databases"])
    time.sleep(3)  # spans leave in batches of half a second; the ledger and the mails have come before
    password = Vault(demo.state / "secrets").word("kafka-admin")
    yield Planted(demo, canaries, answers, Kafka(world["kafka"], world["kafka_agency"], ADMIN, password))


def addresses(demo: Demo) -> dict[str, str]:
    """The operations door of every process of ours."""
    world = demo.world()
    return {**world["services"], **dict(zip(world["parts"]["gateways"], world["operations"], strict=True))}


def nothing(found: Found, at_least: int) -> None:
    """No hit, in a search that was over something."""
    assert found.hits == []
    assert found.bytes >= at_least, f"only {found.bytes} bytes in {found.places} places were there to search"


def test_whatever_is_bad_is_refused_without_an_echo(planted: Planted) -> None:
    assert len(planted.canaries.planted) > 120
    assert planted.answers == []


def test_no_canary_is_in_kafkas_files(planted: Planted) -> None:
    nothing(searching.files(planted.search, Path(planted.demo.world()["kafka_data"])), 100_000)


def test_no_canary_is_in_any_record_as_a_consumer_decodes_it(planted: Planted) -> None:
    found = searching.gather(planted.search, asyncio.run(searching.records(planted.bus)))
    nothing(found, 50_000)


def test_no_canary_is_in_the_output_of_any_process(planted: Planted) -> None:
    nothing(searching.files(planted.search, Path(planted.demo.world()["logs"])), 5_000)
    nothing(searching.files(planted.search, planted.demo.output), 1_000)


def test_no_canary_is_in_any_span(planted: Planted) -> None:
    spans = searching.spans(planted.demo.world()["zipkin"])
    nothing(searching.gather(planted.search, spans), 100_000)
    named = b" ".join(content for _, content in spans)
    for service in ("gateway", "consent", "logbook", "directory", "notify"):
        assert f'"serviceName":"{service}"'.encode() in named
    assert b"http.route" in named and b"url.path" not in named and b"url.query" not in named


def test_no_canary_is_in_any_metric(planted: Planted) -> None:
    nothing(searching.gather(planted.search, searching.metrics(addresses(planted.demo))), 10_000)


def test_no_canary_is_in_any_mail_but_the_address_it_went_to(planted: Planted) -> None:
    went_to = [f"{one}@mail.example" for one, where in planted.canaries.planted.items() if "'s e-mail address" in where]
    mails = searching.mails(Path(planted.demo.world()["mailbox"]), went_to)
    nothing(searching.gather(planted.search, mails), 500)


def test_no_canary_is_readable_in_any_table(planted: Planted) -> None:
    nothing(searching.gather(planted.search, asyncio.run(searching.rows(planted.demo.world()["databases"]))), 20_000)


def test_no_canary_is_in_the_files_of_the_databases_nor_in_their_write_ahead_log(planted: Planted) -> None:
    nothing(searching.files(planted.search, planted.demo.state / "postgres"), 1_000_000)


def test_the_search_bites(planted: Planted, tmp_path: Path) -> None:
    [word, number] = [next(c for c in planted.canaries.planted if c.isdigit() is digits) for digits in (False, True)]
    search, logs = planted.search, Path(planted.demo.world()["logs"])
    for name, text in (("gateway-1.log", word), ("consent.log", f"x{number}")):
        (tmp_path / name).write_bytes((logs / name).read_bytes() + text.encode())
    assert len(searching.files(search, tmp_path).hits) == 2
    for form in searching.forms(word) | searching.forms(number):
        assert search.hits("here", b"before" + form + b"after")
    assert search.hits("here", word[:9].upper().encode()) == ["here holds a piece of a canary"]


def test_the_search_bites_in_a_record_and_on_kafkas_disk(planted: Planted) -> None:
    where = "only the check of the search"
    canary = Canaries().word(where)
    search = Search({canary: where})
    topic = planted.bus.fresh_topic(name="canary")
    try:
        asyncio.run(searching.publish(planted.bus, topic, canary))
        records = searching.gather(search, asyncio.run(searching.records(planted.bus)))
        assert records.hits == [f"a record of {topic} holds {where}"]
        disk = searching.files(search, Path(planted.demo.world()["kafka_data"]))
        assert [hit for hit in disk.hits if topic in hit and where in hit]
    finally:
        planted.bus.admin.delete_topics([topic])[topic].result(20)


def value_of(metric: str, page: str) -> str | None:
    """A sample of the metric, if there is one."""
    found = re.search(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE)
    return found[1] if found else None


@pytest.mark.parametrize("part", METRICS)
def test_a_process_tells_what_an_operator_asks_for(planted: Planted, part: str) -> None:
    address = addresses(planted.demo)[part]
    deadline = time.monotonic() + 40  # deliveries are counted every half minute
    while True:
        page = httpx.get(f"{address}/metrics", timeout=10).text
        missing = [metric for metric in METRICS[part] if value_of(metric, page) is None]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert missing == []
    assert [metric for metric in EVERYWHERE if f"# HELP {metric} " not in page] == []


def test_decisions_are_counted_by_reason(planted: Planted) -> None:
    page = httpx.get(f"{addresses(planted.demo)['gateway-1']}/metrics", timeout=10).text
    outcomes = set(re.findall(r'^samlogg_decisions_total{[^}]*outcome="([^"]+)"', page, re.MULTILINE))
    assert {"allowed", "no-grant"} <= outcomes


def test_why_names_the_leader_and_then_who_does_not_answer(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    world = ["--world", str(planted.demo.state / "world.json")]
    assert samlogg([*world, "why"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"consent leads \(epoch \d+\); \d+ change\(s\) unconfirmed", said)
    assert "gateway-1 " in said and "gateway-2 " in said
    assert samlogg([*world, "why", "--json"]) == 0
    assert {'"leases"', '"behind"', '"positions"'} <= set(re.findall(r'"\w+"', capsys.readouterr().out))
    stopped = planted.demo.pid("consent")
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert samlogg([*world, "why"]) == 1
        said = capsys.readouterr().out
        assert "consent is not ready: process: does not answer" in said and "Nobody leads" in said
    finally:
        os.kill(stopped, signal.SIGCONT)
