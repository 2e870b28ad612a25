"""A door on the machine's own loopback that shows what this service holds; it asks for a token from our folder."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from police.keys import write_private

TOKEN_FILE = "status-token"  # noqa: S105 (a file's name)


def status_token(folder: Path) -> str:
    """The token of the door; made once, readable by its owner only."""
    path = folder / TOKEN_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


async def serve(port: int, token: str, state: Callable[[], dict[str, Any]]) -> asyncio.Server:
    """Open the door on 127.0.0.1: `GET /live` for anyone, `GET /held` with the token."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode("latin-1")
            writer.write(_response(*_answer(head, token, state)))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)


def _answer(head: str, token: str, state: Callable[[], dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    request, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if request.startswith("GET /live "):
        return "200 OK", {"live": True}
    if not hmac.compare_digest(headers.get("authorization", ""), f"Bearer {token}"):
        return "401 Unauthorized", {"title": "a token is needed"}
    if request.startswith("GET /held "):
        return "200 OK", state()
    return "404 Not Found", {"title": "not found"}


def _response(status: str, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + text
