"""Asking a service: one signed request over kept-alive connections, with one deadline for everything."""

import asyncio
import time
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
PATIENCE_SECONDS = 1.5
"""How long a replica may be silent about what another can be asked just as well."""
PASSED_OVER_SECONDS = 5.0
"""For how long a replica that was silent or away is asked only after the others."""
LARGEST_ANSWER = 8 * 1024 * 1024


class Unreachable(Exception):
    """The service gave no answer that can be used. For a write: whether it happened is not known."""


@dataclass(frozen=True, slots=True)
class Inner:
    """What is asked of a service. `target` is path and query; `seconds` how long the signed request may live.

    repeatable: asking twice does no more than asking once.
    """

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
    repeatable: bool = False


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
    silent: dict[str, float] = field(default_factory=dict)
    """Until when a replica is passed over, on the monotonic clock."""

    def order(self, now: float) -> list[str]:
        """Every replica, beginning with the one whose turn it is; those that were silent lately come last."""
        self.turn = (self.turn + 1) % len(self.urls)
        turns = self.urls[self.turn :] + self.urls[: self.turn]
        return sorted(turns, key=lambda url: self.silent.get(url, 0.0) > now) if self.silent else list(turns)


def destination(urls: str, key: bytes) -> Destination:
    """From a comma list of addresses, for example `http://127.0.0.1:8101`."""
    return Destination(tuple(url.strip().rstrip("/") for url in urls.split(",") if url.strip()), OctKey.import_key(key))


def open_session() -> aiohttp.ClientSession:
    """The one session of a process. No cookies, no redirects followed, no proxy from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=200, keepalive_timeout=20, ttl_dns_cache=30),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=1.0),  # `Services.ask` has one deadline for everything
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

        A replica that refuses the connection is passed over; what may have been heard is only asked of another where
        that does no harm.
        """
        where, again = self._destinations[inner.service], inner.repeatable or inner.method == "GET"
        urls = where.order(time.monotonic())
        for left, url in zip(range(len(urls) - 1, -1, -1), urls, strict=True):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS if left and again else DEADLINE_SECONDS):
                    return await self._once(where.key, url, inner)
            except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
                where.silent[url] = time.monotonic() + PASSED_OVER_SECONDS
                if not left or not (again or isinstance(error, aiohttp.ClientConnectorError)):
                    raise Unreachable from error
        raise Unreachable

    async def _once(self, key: OctKey, url: str, inner: Inner) -> Given:
        token = signed.sign(
            key, audience=inner.service, method=inner.method, path=inner.target, body=inner.body,
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
            inner.method, URL(url + inner.target, encoded=True), data=inner.body or None, headers=headers,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            if (answer.content_length or 0) > LARGEST_ANSWER:
                raise Unreachable
            return Given(answer.status, answer.headers, await answer.read())


def safe_destination(url: str) -> bool:
    """Is this a plain address of a service: http or https, a host, and nothing after it?"""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and not parts.query
