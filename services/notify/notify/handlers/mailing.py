"""The e-mails: one contentless message per recipient and moment, over real SMTP, tried again with growing waits."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from typing import Protocol

import aiosmtplib
import asyncpg
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import wall_now
from chassis.events import new_event
from chassis.health import Health
from chassis.keys import SubjectKeys
from chassis.outbox import announce
from notify import storage
from notify.handlers.contacts import id_of, opened
from notify.messages import NOTICE_FAILED, NOTICE_SENT, TOPIC, NoticeFailed, NoticeSent
from notify.model import Later, Mail, Never, Outcome, Sent, first_state, mail, next_try
from notify.settings import Settings
from notify.storage import Waiting

PART = "mail"
_POLL_SECONDS = 1.0
_HOUSE_SECONDS = 30.0
_log = logging.getLogger(__name__)
_mails = Counter("samlogg_mails_total", "Tries to send an e-mail, by outcome", ["outcome"])
_states = Gauge("samlogg_deliveries", "Deliveries by state", ["state"])


class Mailer(Protocol):
    """Who can send one e-mail."""

    async def send(self, message: Mail) -> Outcome:
        """Never raises for what the network or the mail server does."""


class SmtpMailer:
    """Sends over SMTP; one connection for each e-mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, message: Mail) -> Outcome:
        """What the mail server said of it. A 5xx about the address or the message is final, all else is tried again."""
        settings = self._settings
        password = settings.smtp_password
        try:
            await aiosmtplib.send(
                written(message, settings.smtp_from), hostname=settings.smtp_host, port=settings.smtp_port,
                use_tls=settings.tls == "tls", start_tls=settings.tls == "starttls", timeout=settings.smtp_seconds,
                username=settings.smtp_user, password=password.get_secret_value() if password else None,
            )  # fmt: skip
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            return _refused(max(codes, default=450), "address-refused")
        except aiosmtplib.SMTPDataError as error:
            return _refused(error.code, "message-refused")
        except aiosmtplib.SMTPResponseException as error:
            return Later(f"smtp-{error.code}", away=True)
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            return Later(_slug(error), away=True)
        return Sent()


def written(message: Mail, sender: str) -> EmailMessage:
    """The e-mail as it goes out. A line break in an address raises ValueError here."""
    found = EmailMessage()
    found["From"] = sender
    found["To"] = message.to
    found["Subject"] = message.subject
    found["Message-ID"] = message.message_id
    found["Auto-Submitted"] = "auto-generated"
    found.set_content(message.body)
    found["Content-Language"] = message.language  # after the content: setting that clears every Content-* header
    return found


def _refused(code: int, reason: str) -> Outcome:
    return Never(reason) if code >= 500 else Later(f"smtp-{code}")


def _slug(error: Exception) -> str:
    return "smtp-timeout" if isinstance(error, TimeoutError | aiosmtplib.SMTPTimeoutError) else "smtp-away"


class Mailing:
    """Sends what waits. Any number of these may run at once: each delivery is locked while it is being sent."""

    def __init__(
        self, engine: AsyncEngine, keys: SubjectKeys, mailer: Mailer, sender: str, health: Health,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._engine, self._keys, self._mailer, self._sender = engine, keys, mailer, sender
        self._health, self._now = health, now
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; a database that is away is waited for."""
        task = asyncio.current_task()
        while task is None or not task.cancelling():  # a library below may take a cancellation for its own and go on
            self._woken.clear()
            try:
                if await self.send_next():
                    continue
            except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                self._health.trouble(PART, type(error).__name__)
                _log.warning("the mail worker waits for the database", extra={"error": type(error).__name__})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()
        raise asyncio.CancelledError

    async def keep_house(self) -> None:
        """For ever: the metric of deliveries by state, and forgetting what need not be remembered."""
        while True:
            try:
                async with self._engine.begin() as conn:
                    for state, number in (await storage.counts(conn)).items():
                        _states.labels(state).set(number)
                    await storage.sweep(conn, wall_now())
            except (SQLAlchemyError, OSError) as error:
                _log.warning("deliveries could not be counted", extra={"error": type(error).__name__})
            await asyncio.sleep(_HOUSE_SECONDS)

    async def send_next(self) -> bool:
        """Send one e-mail for everything that is due for one recipient. False when nothing was due.

        The rows stay locked until the outcome is committed: a kill in between sends the e-mail again, under the same
        Message-ID; a revocation waits for the lock, and so comes either before the e-mail or after it.
        """
        async with self._engine.begin() as conn:
            batch = await storage.claim(conn, self._now())
            if not batch:
                return False
            recipient = batch[0].recipient
            contact = await opened(self._keys, recipient, await storage.find_contact(conn, recipient))
            state = first_state(contact)
            if contact is None or state != "waiting":
                await storage.settle(conn, [one.notice for one in batch], state, self._now())
                return True
            outcome = await self._mailer.send(mail(contact, batch[0].notice, self._sender))
            await self._note(conn, batch, outcome)
        return True

    async def _note(self, conn: AsyncConnection, batch: Sequence[Waiting], outcome: Outcome) -> None:
        now = self._now()
        _mails.labels(type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Later):
            if outcome.away:
                self._health.trouble(PART, outcome.reason)
            for one in batch:
                await self._later(conn, one, outcome.reason, now)
            return
        self._health.fine(PART)
        notices = [one.notice for one in batch]
        if isinstance(outcome, Sent):
            await storage.settle(conn, notices, "sent", now)
            for one in batch:
                await self._tell(conn, one, NOTICE_SENT, NoticeSent(notice=one.notice).model_dump(), now)
        else:
            for one in batch:
                await self._fail(conn, one, outcome.reason, now)

    async def _later(self, conn: AsyncConnection, one: Waiting, reason: str, now: datetime) -> None:
        at = next_try(one.tries + 1, now)
        if at is None:
            await self._fail(conn, one, "gave-up", now)
        else:
            await storage.try_again(conn, one, at, reason)

    async def _fail(self, conn: AsyncConnection, one: Waiting, reason: str, now: datetime) -> None:
        await storage.settle(conn, [one.notice], "failed", now, reason=reason)
        await self._tell(conn, one, NOTICE_FAILED, NoticeFailed(notice=one.notice, reason=reason).model_dump(), now)

    async def _tell(self, conn: AsyncConnection, one: Waiting, kind: str, data: dict[str, str], now: datetime) -> None:
        await announce(conn, storage.outbox, TOPIC, new_event("notify", kind, id_of(one.recipient), data, now))
