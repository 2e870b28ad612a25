"""What is told of a race: how much was done, what went wrong meanwhile, and what the judge found."""

import time
from collections import Counter
from typing import Any

from tests.races import judge
from tests.races.clients import WRITTEN, Clients, Journal
from tests.races.faults import Fault
from tests.races.judge import Epochs, Read
from tests.races.stores import Stores
from tests.races.waiting import percentiles, stages
from tests.races.wire import now
from tests.races.world import CATEGORIES, READERS

MUST_BE_NONE = ("stale_answers", "lost", "doubled", "answers_without_record")


def verdict(
    journals: list[Journal], clients: Clients, faults: list[Fault], held: Stores, last: list[Read],
    texts: Counter[str],
) -> dict[str, Any]:  # fmt: skip
    """Most of the object that `make races` prints. journals: of every race on this track, the clients' own the last."""
    journal = clients.journal
    epochs = Epochs.of(journal.acts)
    told = {act.change: act.told for act in journal.acts if act.kind == "withdrawn" and act.told is not None}
    ended = {grant: moment for grant, by in held.ended.items() if (moment := told.get(by)) is not None}
    seen = [*journal.reads, *journal.messages]
    by_body = [read for read in seen if judge.stale_by_body(read, epochs)]
    by_store = [read for read in seen if judge.stale_by_store(read, held.looks, ended)]
    stale = {(read.trace, read.first) for read in (*by_body, *by_store)}
    lost = _lost(journals, clients, held, last, texts, epochs)
    doubled = _doubled(journals, clients, held, texts)
    unrecorded = len(judge.without_record(journal.answered, held.looks))
    unrecorded += judge.too_few_records(journal.streams, held.looks)
    acts_unrecorded = sum(grant not in held.acts_in_ledger for grant in ended)
    withdrawn = [act for act in journal.acts if act.kind == "withdrawn"]
    under = [act for act in withdrawn if act.told is not None and _active(faults, act.told)]
    shown = [read for read in journal.reads if read.shown]
    spent = stages(withdrawn, held.kept, time.time() - now())
    return {
        "operations": len(journal.reads) + len(journal.acts) + len(journal.written),
        "reads": len(journal.reads), "answers": len(journal.answered), "answers_with_content": len(shown),
        "withdrawals": sum(act.told is not None for act in withdrawn),
        "withdrawals_confirmed_under_fault": len(under),
        "grants_given_back": sum(act.told is not None for act in journal.acts if act.kind == "granted"),
        "writes": len(journal.written), "streams": len(journal.streams), "stream_messages": len(journal.messages),
        "faults": len(faults),
        "stale_answers": len(stale), "lost": sum(lost.values()), "doubled": sum(doubled.values()),
        "answers_without_record": unrecorded + acts_unrecorded,
        "faults_by_kind": dict(sorted(Counter(fault.kind for fault in faults).items())),
        "stale_by_body": len(by_body), "stale_by_store": len(by_store), "lost_by_kind": lost,
        "doubled_by_kind": doubled, "answers_said_held_back": _said_held_back(journal.answered, held),
        "confirmation_ms": percentiles([1000 * (act.told - act.sent) for act in withdrawn if act.told is not None]),
        "confirmation_stages_ms": {name: percentiles(took) for name, took in spent.items()},
        "statuses": dict(sorted(journal.statuses.items())), "stores": held.counts,
        "odd": journal.odd[:5],
    }  # fmt: skip


def _active(faults: list[Fault], moment: float) -> bool:
    return any(fault.began <= moment and (fault.over is None or moment <= fault.over) for fault in faults)


def _lost(
    journals: list[Journal], clients: Clients, held: Stores, last: list[Read], texts: Counter[str], epochs: Epochs
) -> dict[str, int]:
    journal, subjects = clients.journal, clients.world.subjects
    wanted = _in_force(journals, len(subjects))
    told = [act for act in journal.acts if act.told is not None]
    withdrawn = [act for act in told if act.kind == "withdrawn"]
    in_store = {
        (number, service): held.live.get((subjects[number].id, f"service:{service}"), frozenset()) & set(CATEGORIES)
        for number, service in wanted
    }
    seen = Counter(
        (read.subject, read.service) for read in last if read.shown == wanted.get((read.subject, read.service))
    )
    return {
        "writes": sum(held.entries.get(id_) is None for id_ in journal.written.values()),
        "texts": sum(texts[text] == 0 for text in journal.written),
        "withdrawals": sum(not held.withdrawals.get(act.change or "", ("", False))[1] for act in withdrawn),
        "states": sum(in_store[cell] != categories for cell, categories in wanted.items()),
        "last_reads": sum(len(clients.world.ports) - seen[cell] for cell in wanted),
        "granted_and_not_found": sum(judge.missing(read, epochs) for read in journal.reads),
        "records_not_in_ledger": len(held.unledgered), "ledger_gaps": held.gaps, "pending": held.pending,
        "states_not_published": len(held.behind),
    }  # fmt: skip


def _in_force(journals: list[Journal], subjects: int) -> dict[tuple[int, str], frozenset[str]]:
    """What must be in force at the end, by what the clients did. Without those of whom an act has no answer."""
    found = {(number, service): frozenset(CATEGORIES) for number in range(WRITTEN, subjects) for service in READERS}
    acts = [act for journal in journals for act in journal.acts]
    for act in sorted(acts, key=lambda act: act.sent):
        cell = (act.subject, act.service)
        change = frozenset(act.categories)
        found[cell] = found[cell] | change if act.kind == "granted" else found[cell] - change
    unknown = {(act.subject, act.service) for act in acts if act.told is None}
    return {cell: categories for cell, categories in found.items() if cell not in unknown}


def _doubled(journals: list[Journal], clients: Clients, held: Stores, texts: Counter[str]) -> dict[str, int]:
    subjects = clients.world.subjects
    acts = Counter(subjects[act.subject].id for journal in journals for act in journal.acts if act.kind == "withdrawn")
    stored = Counter(whose for whose, _ in held.withdrawals.values())
    written = {subject.id for subject in subjects[:WRITTEN]}
    entries = sum(whose in written for whose in held.entries.values()) - len(CATEGORIES) * WRITTEN
    return {
        "writes": max(0, entries - sum(len(one.written) for one in journals)),
        "texts": sum(max(0, count - 1) for count in texts.values()),
        "withdrawals": sum(max(0, count - acts[whose]) for whose, count in stored.items()),
        "events": held.doubled_events,
    }  # fmt: skip


def _said_held_back(answered: list[str], held: Stores) -> int:
    """Answers that a client has whole, and whose every record says that there was none."""
    found = (held.looks.of_trace.get(trace, {}).keys() for trace in answered)
    return sum(bool(records) and records <= held.looks.held_back for records in found)
