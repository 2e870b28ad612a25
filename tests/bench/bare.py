"""A gateway that decides nothing and records nothing, to measure what deciding and recording cost. Only under tests."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from chassis import lifespan, logs
from chassis.permit import Cell, Permit
from chassis.settings import load
from gateway.api.wire import DoorProtocol
from gateway.app import SERVICE, create_app
from gateway.handlers.records import Look
from gateway.model.decide import Admission, Decision, Question
from gateway.model.facts import Facts
from gateway.settings import Settings

CELLS = tuple(Cell(category, "bare", None) for category in ("school", "health", "participants"))


def permits(question: Question, facts: Facts, now: float) -> Decision:
    """Yes to everything, without looking at anything."""
    del facts, now
    if question.basis == "grant" and question.subject is not None:
        return Permit(question.subject, "contribute" if question.action == "contribute" else "read", "bare", CELLS)
    return Admission(question.basis)


class Nothing:
    """Records that are kept nowhere."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def trouble(self) -> str | None:
        """Never any."""
        return None

    async def send(self, look: Look) -> Awaitable[None]:
        """Done already."""
        del look
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def held_back(self, look: Look, reason: str, came: tuple[int, int] | None = None) -> None:
        """Nothing was recorded."""


def nowhere(settings: Settings, now: Callable[[], datetime]) -> Nothing:
    """The place where nothing is recorded."""
    del settings, now
    return Nothing()


def main() -> None:
    """Serve as `python -m gateway` does."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    app = create_app(settings, decide=permits, record=nowhere)
    lifespan.serve(app, host=settings.host, port=settings.port, http=DoorProtocol)


if __name__ == "__main__":
    main()
