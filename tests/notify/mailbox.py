"""A real SMTP server on loopback that keeps what it is given, or refuses it as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class Mailbox:
    """What arrived, and how the server behaves: one answer to RCPT and one to DATA."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    rcpt: str = "250 OK"
    data: str = "250 OK"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one, policy=default) for one in self.raw]

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.data.startswith("250"):
            self.raw.append(envelope.original_content)
            self.to.append(list(envelope.rcpt_tos))
        return self.data


@asynccontextmanager
async def open_mailbox(port: int = 0) -> AsyncIterator[Mailbox]:
    """A mailbox on a free port, or on the one given."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, hostname="mailbox.test", loop=loop), "127.0.0.1", port)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
