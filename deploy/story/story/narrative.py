"""Tells the story as it goes: steps with time and trace, what happened and who saw it, and the first thing wrong."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TextIO


class UnexpectedError(Exception):
    """Something came out otherwise than it must; the text says what was expected and what came, without people."""


def expect(what: str, expected: Any, came: Any) -> None:
    """Go on only if `came` is what was expected. Neither may be personal: both are printed when they differ."""
    if came != expected:
        raise UnexpectedError(f"{what}: expected {expected!r}, and {came!r} came")


def expect_true(what: str, came: object) -> None:
    """Go on only if this is so; `what` is the sentence that must be true."""
    if not came:
        raise UnexpectedError(f"this must be so, and is not: {what}")


@dataclass(frozen=True, slots=True)
class Told:
    """How one step went; `trace` is the trace its requests were made under."""

    name: str
    ok: bool
    ms: int
    trace: str


@dataclass
class Narrator:
    """Prints what happens and keeps what was told. A trace belongs to a step; see `traceparent`."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    told: list[Told] = field(default_factory=list)
    trace: str = ""

    def say(self, *lines: str) -> None:
        """A line of the story, indented under its step."""
        for line in lines:
            print(f"   {line}", file=self.out, flush=True)

    def new_trace(self) -> str:
        """Begin a new trace; requests made from now on carry it."""
        self.trace = secrets.token_hex(16)
        return self.trace

    def traceparent(self) -> str:
        """The header for one request: the step's trace, a new span, sampled."""
        return f"00-{self.trace}-{secrets.token_hex(8)}-01"

    async def step(self, title: str, name: str, act: Callable[[], Awaitable[None]]) -> bool:
        """Run one step; False if something was not as it must be."""
        trace, began = self.new_trace(), time.monotonic()
        print(f"\n{len(self.told) + 1}. {title}", file=self.out, flush=True)
        problem = ""
        try:
            await act()
        except UnexpectedError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 (a step that breaks is a failed step; texts of others may be personal)
            problem = f"the step broke: {type(error).__name__} {_where(error)}"
        ms = int((time.monotonic() - began) * 1000)
        self.told.append(Told(name, not problem, ms, trace))
        mark = "ok" if not problem else "FAILED: " + problem
        print(f"   -> {mark} ({ms} ms, trace {trace})", file=self.out, flush=True)
        return not problem

    def result(self) -> dict[str, Any]:
        """`{"ok", "steps": [{"name", "ok", "ms", "trace"}]}`."""
        steps = [{"name": one.name, "ok": one.ok, "ms": one.ms, "trace": one.trace} for one in self.told]
        return {"ok": all(one.ok for one in self.told), "steps": steps}

    def result_line(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(self.result())


def _where(error: BaseException) -> str:
    """The innermost places in the story's own code: a file and line say enough, and hold nobody's data."""
    places, trail = [], error.__traceback__
    while trail is not None:
        name = trail.tb_frame.f_code.co_filename
        if "/story/" in name:
            places.append(f"{name.rsplit('/', 1)[-1]}:{trail.tb_lineno}")
        trail = trail.tb_next
    return "at " + " < ".join(reversed(places[-3:])) if places else ""
