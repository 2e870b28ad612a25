"""The mailbox: an SMTP server that keeps every mail as a file. `python -m local_stack.mailbox PORT FOLDER`."""

import asyncio
import signal
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from local_stack.ports import LOOPBACK


class Keep:
    """Writes each mail to a file of its own, whole or not at all. The file's name says only when it came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        """Keep the mail; the answer is SMTP's."""
        content = envelope.content or b""
        path = self._folder / f"{time.time_ns()}.eml"
        fresh = path.with_suffix(".tmp")
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        fresh.replace(path)
        return "250 OK"


async def serve(port: int, folder: Path) -> None:
    """Take mail on loopback into the folder until SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: SMTP(Keep(folder), ident="mailbox", enable_SMTPUTF8=True), LOOPBACK, port)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    mails = Path(sys.argv[2])
    mails.mkdir(parents=True, exist_ok=True, mode=0o700)
    asyncio.run(serve(int(sys.argv[1]), mails))
