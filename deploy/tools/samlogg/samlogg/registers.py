"""A stand-in for a person register: a file of events and people, served as the adapter contract says.

Each line of the file is `{"event": {…}, "person": {…}}` (services/consent/REGISTERS.md); a line without `person` is an
event alone. What was served once is kept beside what runs, so that places stay what they are and can be read again.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from samlogg.law import database
from samlogg.running import FILE_VARIABLE, USUAL_FILE, NotRunningError

KEPT = "registers.jsonl"
PATIENCE_SECONDS = 60.0


class Feed:
    """Lines in their order: a line's number is its place, and the newest person of a key is the document."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        self.documents: dict[str, Any] = {}
        for line in self.lines:
            found = _object(line)
            event, person = found.get("event"), found.get("person")
            if isinstance(event, dict) and person is not None:
                self.documents[str(event.get("document"))] = person

    def person(self, number: object) -> Any:
        """The newest document about whoever has or had this number."""
        found = None
        for line in self.lines:
            told = _object(line).get("person")
            listed = told.get("numbers") if isinstance(told, dict) else None
            if isinstance(listed, list) and any(
                isinstance(one, dict) and one.get("number") == number for one in listed
            ):
                found = told
        return found

    def page(self, after: int, most: int) -> dict[str, Any]:
        """The next events. What is no event is served as it is: telling so is for whoever reads it."""
        chosen = list(enumerate(self.lines, start=1))[max(after, 0) : max(after, 0) + most]
        return {
            "stand_in": True,
            "events": [{"place": place, "event": _object(line).get("event", line)} for place, line in chosen],
        }


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def served(feed: Feed, port: int = 0) -> Iterator[str]:
    """The feed at an address on this machine, as long as the context lasts; gives the address."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = _object(self.rfile.read(int(self.headers["content-length"])).decode())
            self._answer(feed.person(asked.get("number")) if self.path == "/persons" else None)

        def do_GET(self) -> None:
            target = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(target.query).items()}
            body: Any = None
            if target.path == "/events":
                body = feed.page(int(asked.get("after", "0")), int(asked.get("most", "100")))
            elif target.path.startswith("/documents/"):
                body = feed.documents.get(target.path.removeprefix("/documents/"))
            self._answer(body)

        def _answer(self, body: Any) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, *_: Any) -> None:
            """Nothing: who was asked for is nobody's business."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def play(world: str | None, file: str | None, *, again: bool) -> Iterator[str]:
    """Serve what was served before and this file's lines after it, until consent has read it all; what became of it.

    again: have consent try once more what it has put aside. NotRunningError where nothing runs, or it does not read.
    """
    place, port = _running(world)
    kept = place.parent / KEPT
    before = kept.read_text().splitlines() if kept.exists() else []
    lines = [line for line in Path(file).read_text().splitlines() if line.strip()] if file else []
    kept.write_text("".join(f"{line}\n" for line in [*before, *lines]))
    url = database(world)
    with served(Feed([*before, *lines]), port):
        found = asyncio.run(_followed(url, len(before), len(before) + len(lines), again=again))
    yield f"{len(lines)} lines: {', '.join(f'{number} {name}' for name, number in sorted(found['outcomes'].items()))}"
    yield from (f"put aside: place {one['place']}, {one['reason']}" for one in found["dead"])


def _running(world: str | None) -> tuple[Path, int]:
    file = Path(world or os.environ.get(FILE_VARIABLE, "") or USUAL_FILE)
    try:
        port = urlsplit(json.loads(file.read_text())["register"]).port
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotRunningError(f"{file} names no register that consent follows. Start it with `make demo`.") from error
    return file, port or 0


async def _followed(url: str, first: int, last: int, *, again: bool) -> dict[str, Any]:
    engine: Any = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        if again:
            async with engine.begin() as conn:
                await conn.execute(text("UPDATE register_dead SET again = true WHERE settled_at IS NULL"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            async with engine.connect() as conn:
                place = await conn.scalar(text("SELECT place FROM register_feed"))
                waiting = await conn.scalar(text("SELECT count(*) FROM register_dead WHERE again"))
                if place >= last and not waiting:
                    return await _told(conn, first)
            if time.monotonic() > deadline:
                raise NotRunningError(f"consent has read up to place {place} of {last} and does not go on.")
            await asyncio.sleep(0.2)
    finally:
        await engine.dispose()


async def _told(conn: Any, first: int) -> dict[str, Any]:
    counts = await conn.execute(
        text("SELECT outcome, count(*) AS number FROM register_event WHERE place > :first GROUP BY 1"), {"first": first}
    )
    dead = await conn.execute(text("SELECT place, reason FROM register_dead WHERE settled_at IS NULL ORDER BY place"))
    return {
        "outcomes": {row.outcome: row.number for row in counts},
        "dead": [{"place": row.place, "reason": row.reason} for row in dead],
    }
