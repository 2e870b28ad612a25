"""What `samlogg why` makes of what the parts say: who leads, who is behind, and what a silent part looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from samlogg import why
from samlogg.__main__ import main
from samlogg.running import NotRunningError, read

GATEWAY = 'samlogg_lease_seconds_left 3.2\nsamlogg_gateway_incarnation{incarnation="g1"} 1.0\n'
LEADER = {"leads": True, "epoch": 4, "leases": {"g1": 3.5}, "positions": {"consent.state.v1:0": 9}, "unconfirmed": 2}
METRICS = """\
# TYPE samlogg_consumer_lag gauge
samlogg_consumer_lag{topic="consent.events.v1",partition="3"} 17
samlogg_consumer_lag{topic="consent.events.v1",partition="4"} 0
# TYPE samlogg_dead_letters counter
samlogg_dead_letters_total{topic="consent.events.v1"} 2
# TYPE samlogg_outbox_oldest_seconds gauge
samlogg_outbox_oldest_seconds 42
"""


def client(pages: dict[str, Any]) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        page = pages.get(str(request.url))
        if page is None:
            raise httpx.ConnectError("refused", request=request)
        return page if isinstance(page, httpx.Response) else httpx.Response(200, json=page)

    return httpx.Client(transport=httpx.MockTransport(answer))


def part(address: str, *, ready: bool = True, metrics: str = "", leader: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{address}/ready": httpx.Response(
            200 if ready else 503, json={"ready": ready, "waiting": {} if ready else {"consumer": "no progress"}}
        ),
        f"{address}/metrics": httpx.Response(200, text=metrics),
    }
    if leader is not None:
        found[f"{address}/inner/leader"] = leader
    return found


def test_the_leader_tells_of_leases_and_what_is_unconfirmed() -> None:
    pages = part("http://c", leader=LEADER) | part("http://g", metrics=GATEWAY)
    with client(pages) as http:
        found = why.report([why.ask("consent", "http://c", http), why.ask("gateway-1", "http://g", http)])
    assert (found.leader, found.epoch, found.unconfirmed) == ("consent", 4, 2)
    assert found.leases == {"gateway-1": 3.5} and found.gateways == {"gateway-1": 3.2}
    assert "Nothing is wrong." in why.sentences(found)


def test_who_is_behind_and_what_was_set_aside_is_told_by_topic() -> None:
    with client(part("http://l", ready=False, metrics=METRICS)) as http:
        found = why.report([why.ask("logbook", "http://l", http)])
    assert found.behind == [{"part": "logbook", "topic": "consent.events.v1", "partition": 3, "messages": 17}]
    assert found.dead_letters == {"logbook consent.events.v1": 2}
    assert found.waiting_to_publish == {"logbook": 42}
    assert found.not_ready == {"logbook": {"consumer": "no progress"}}
    told = "\n".join(why.sentences(found))
    assert "logbook is 17 behind on consent.events.v1 partition 3" in told and "Nobody leads" in told


def test_of_two_that_say_they_lead_the_higher_epoch_counts() -> None:
    old, new = {**LEADER, "epoch": 3}, {**LEADER, "epoch": 5}
    with client(part("http://a", leader=new) | part("http://b", leader=old)) as http:
        found = why.report([why.ask("consent-1", "http://a", http), why.ask("consent-2", "http://b", http)])
    assert found.leader == "consent-1"


def test_a_part_that_does_not_answer_is_not_ready() -> None:
    with client({}) as http:
        found = why.report([why.ask("consent", "http://c", http)])
    assert found.not_ready == {"consent": {"process": "does not answer (ConnectError)"}} and found.leader is None


def running(tmp_path: Path, services: dict[str, str]) -> str:
    file = tmp_path / "world.json"
    named = {"operations": ["http://127.0.0.1:2/"], "parts": {"gateways": ["gateway-1"]}}
    file.write_text(json.dumps({"services": services, "zipkin": "http://127.0.0.1:1", **named}))
    return str(file)


def test_services_and_gateways_are_found_in_the_file(tmp_path: Path) -> None:
    found = read(running(tmp_path, {"consent": "http://127.0.0.1:1"}))
    assert found.parts == {"consent": "http://127.0.0.1:1", "gateway-1": "http://127.0.0.1:2"}


def test_the_command_says_with_its_exit_code_that_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = running(tmp_path, {"consent": "http://127.0.0.1:1"})
    assert main(["--world", file, "why", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["leader"] is None and set(told["not_ready"]) == {"consent", "gateway-1"}


def test_without_the_file_the_command_says_so_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--world", str(tmp_path / "none"), "why"]) == 2
    assert "Nothing runs here" in capsys.readouterr().err


def test_a_file_without_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("[]")
    with pytest.raises(NotRunningError):
        read(str(tmp_path / "world.json"))
