"""The agency's own database (SQLite): events seen, what we hold, what we have to fetch, and what we were refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS event (
  id TEXT PRIMARY KEY, handle TEXT NOT NULL, what TEXT NOT NULL, at TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS work (handle TEXT PRIMARY KEY, generation INTEGER NOT NULL, tries INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS held (
  handle TEXT PRIMARY KEY, given_name TEXT NOT NULL, family_name TEXT NOT NULL, birth_date TEXT NOT NULL, etag TEXT);
CREATE TABLE IF NOT EXISTS item (
  handle TEXT NOT NULL REFERENCES held ON DELETE CASCADE, id TEXT NOT NULL, category TEXT NOT NULL,
  kind TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (handle, id));
CREATE TABLE IF NOT EXISTS refusal (
  number INTEGER PRIMARY KEY, handle TEXT NOT NULL, status INTEGER NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS odd (number INTEGER PRIMARY KEY, partition INTEGER NOT NULL, position INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Pointer:
    """One event of our feed: about whom, and what happened; never any content."""

    id: str
    handle: str
    what: str


@dataclass(frozen=True, slots=True)
class Odd:
    """A message that is no pointer; only its place is kept."""

    partition: int
    position: int


@dataclass(frozen=True, slots=True)
class Work:
    """A handle to fetch; a pointer that comes meanwhile raises the generation, so an old answer is not stored."""

    handle: str
    generation: int
    tries: int
    etag: str | None
    known: bool


class Store:
    """One SQLite file; every method is one transaction and short enough to run on the event loop."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        path.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def receive(self, messages: Iterable[Pointer | Odd], now: str) -> None:
        """Take what the feed brought: each event has its effect once, however often it comes."""
        with self._db:
            for message in messages:
                if isinstance(message, Odd):
                    self._db.execute(
                        "INSERT INTO odd (partition, position) VALUES (?, ?)", (message.partition, message.position)
                    )
                elif self._first_time(message, now):
                    self._apply(message)

    def _first_time(self, pointer: Pointer, now: str) -> bool:
        added = self._db.execute(
            "INSERT INTO event (id, handle, what, at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (pointer.id, pointer.handle, pointer.what, now),
        )
        if added.rowcount == 0:
            self._db.execute("UPDATE event SET times = times + 1 WHERE id = ?", (pointer.id,))
        return added.rowcount == 1

    def _apply(self, pointer: Pointer) -> None:
        if pointer.what == "grant-ended":
            # Deleted at once; what may still be granted is fetched anew.
            self._db.execute("DELETE FROM held WHERE handle = ?", (pointer.handle,))
        self._db.execute(
            "INSERT INTO work (handle, generation, tries) VALUES (?, 1, 0)"
            " ON CONFLICT (handle) DO UPDATE SET generation = generation + 1, tries = 0",
            (pointer.handle,),
        )

    def work(self) -> list[Work]:
        """What is to be fetched, in no particular order."""
        rows = self._db.execute(
            "SELECT work.handle, generation, tries, etag, held.handle IS NOT NULL AS known"
            " FROM work LEFT JOIN held ON held.handle = work.handle"
        ).fetchall()
        return [Work(row["handle"], row["generation"], row["tries"], row["etag"], bool(row["known"])) for row in rows]

    def keep(
        self, work: Work, person: dict[str, Any] | None, items: list[dict[str, Any]] | None, etag: str | None
    ) -> bool:
        """Store what was granted; None keeps what is held. False if a newer pointer came meanwhile."""
        with self._db:
            if not self._done(work):
                return False
            if person is not None:
                self._db.execute(
                    "INSERT INTO held (handle, given_name, family_name, birth_date) VALUES (?, ?, ?, ?)",
                    (work.handle, person["given_name"], person["family_name"], person["birth_date"]),
                )
            self._db.execute("UPDATE held SET etag = ? WHERE handle = ?", (etag, work.handle))
            if items is not None:
                self._db.execute("DELETE FROM item WHERE handle = ?", (work.handle,))
                self._db.executemany(
                    "INSERT INTO item (handle, id, category, kind, at, body) VALUES (?, ?, ?, ?, ?, ?)",
                    [(work.handle, i["id"], i["category"], i["kind"], i["at"], json.dumps(i)) for i in items],
                )
            return True

    def refused(self, work: Work, status: int, now: str) -> None:
        """We may not see this (any more): hold nothing about it and write down that we were refused."""
        with self._db:
            self._done(work)
            self._db.execute("DELETE FROM held WHERE handle = ?", (work.handle,))
            self._db.execute("INSERT INTO refusal (handle, status, at) VALUES (?, ?, ?)", (work.handle, status, now))

    def tried(self, work: Work) -> None:
        """It could not be fetched now; it stays to be done."""
        with self._db:
            self._db.execute("UPDATE work SET tries = tries + 1 WHERE handle = ?", (work.handle,))

    def _done(self, work: Work) -> bool:
        removed = self._db.execute(
            "DELETE FROM work WHERE handle = ? AND generation = ?", (work.handle, work.generation)
        )
        return removed.rowcount == 1

    def held(self) -> dict[str, Any]:
        """All that we hold, for the door on our own machine."""
        subjects = []
        for row in self._db.execute("SELECT * FROM held ORDER BY handle").fetchall():
            items = self._db.execute("SELECT body FROM item WHERE handle = ? ORDER BY at, id", (row["handle"],))
            subjects.append({**dict(row), "items": [json.loads(item["body"]) for item in items]})
        return {
            "subjects": subjects,
            "events": [dict(row) for row in self._db.execute("SELECT * FROM event ORDER BY rowid")],
            "refusals": [dict(row) for row in self._db.execute("SELECT handle, status, at FROM refusal")],
            "waiting": [dict(row) for row in self._db.execute("SELECT handle, tries FROM work")],
            "odd": self._db.execute("SELECT count(*) FROM odd").fetchone()[0],
        }
