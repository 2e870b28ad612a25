"""Asking a service: one signed request over kept-alive connections, with one deadline for everything."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from joserfc.jwk import OctKey
from multidict import CIMultiDictProxy
from yarl import URL

from chassis import permit as signed
from chassis import tracing
from chassis.permit import Actor, Permit

DEADLINE_SECONDS = 7.0  # above one lease, for which a write may wait to be confirmed
LARGEST_ANSWER = 8 * 1024 * 1024

_SAFE = frozenset({"GET"})


class Unreachable(Exception):
    """The service gave no answer that can be used. For a write: whether it happened is not known."""


@dataclass(frozen=True, slots=True)
class Inner:
    """What is asked of a service. `target` is path and query; `seconds` how long the signed request may live."""

    service: str
    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]
    actor: Actor
    subject: str | None
    route: str
    permit: Permit | None
    record: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Given:
    """A service's answer. Header names in any case."""

    status: int
    headers: "CIMultiDictProxy[str] | Mapping[str, str]"
    body: bytes


@dataclass(slots=True)
class Destination:
    """Where one service is (several replicas: they take turns) and the key it knows the gateway by."""

    urls: tuple[str, ...]
    key: OctKey
    turn: int = field(default=0)

    def next(self) -> str:
        """The replica whose turn it is."""
        self.turn = (self.turn + 1) % len(self.urls)
        return self.urls[self.turn]


def destination(urls: str, key: bytes) -> Destination:
    """From a comma list of addresses, for example `http://127.0.0.1:8101`."""
    return Destination(tuple(url.strip().rstrip("/") for url in urls.split(",") if url.strip()), OctKey.import_key(key))


def open_session() -> aiohttp.ClientSession:
    """The one session of a process. No cookies, no redirects followed, no proxy from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=200, keepalive_timeout=20, ttl_dns_cache=30),
        timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS, sock_connect=1.0),
        cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )  # fmt: skip


class Services:
    """The services behind the gateway."""

    def __init__(self, destinations: Mapping[str, Destination], wall: Callable[[], float]) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._destinations = destinations
        self._wall = wall

    async def open(self) -> None:
        """Start when the process does."""
        self._session = open_session()

    async def close(self) -> None:
        """End with the process."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, inner: Inner) -> Given:
        """The service's answer, whatever its status. Unreachable when there is none in time.

        A replica that refuses the connection is passed over; what may have been heard is only repeated for a read.
        """
        where = self._destinations[inner.service]
        tries = len(where.urls)
        for left in range(tries - 1, -1, -1):
            try:
                return await self._once(where, inner)
            except aiohttp.ClientConnectorError as error:
                if not left:
                    raise Unreachable from error
            except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
                if not left or inner.method not in _SAFE or isinstance(error, TimeoutError):
                    raise Unreachable from error
        raise Unreachable

    async def _once(self, where: Destination, inner: Inner) -> Given:
        token = signed.sign(
            where.key, audience=inner.service, method=inner.method, path=inner.target, body=inner.body,
            actor=inner.actor, subject=inner.subject, route=inner.route, permit=inner.permit, record=inner.record,
            now=self._wall(), seconds=inner.seconds,
        )  # fmt: skip
        headers: dict[str, Any] = {**inner.headers, signed.HEADER: token}
        trace = tracing.current()
        if trace is not None:
            headers["traceparent"] = trace
        if self._session is None:
            raise Unreachable
        async with self._session.request(
            inner.method, URL(where.next() + inner.target, encoded=True), data=inner.body or None, headers=headers,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            if (answer.content_length or 0) > LARGEST_ANSWER:
                raise Unreachable
            return Given(answer.status, answer.headers, await answer.read())


def safe_destination(url: str) -> bool:
    """Is this a plain address of a service: http or https, a host, and nothing after it?"""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and not parts.query
