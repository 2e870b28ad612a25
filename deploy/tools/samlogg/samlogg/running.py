"""Which parts run where: the file that whoever started the system leaves for its tools while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE_VARIABLE = "SAMLOGG_WORLD"
USUAL_FILE = Path(".samlogg/world.json")


class NotRunningError(Exception):
    """The file is not there or cannot be read; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Running:
    """`parts`: name (`consent`, `gateway-1` …) -> address of its operations door. `zipkin`: address, or empty."""

    parts: Mapping[str, str]
    zipkin: str


def read(path: str | None) -> Running:
    """From the file named, the one in SAMLOGG_WORLD, or the usual one.

    Of its members these are read: `services` (name -> address), `operations` (addresses of the gateways' operations
    doors, in the order of `parts.gateways`) and `zipkin`.
    """
    file = Path(path or os.environ.get(FILE_VARIABLE, "") or USUAL_FILE)
    try:
        found = json.loads(file.read_text())
        parts = {str(name): str(address).rstrip("/") for name, address in found["services"].items()}
        for number, address in enumerate(found["operations"]):
            parts[str(found["parts"]["gateways"][number])] = str(address).rstrip("/")
        return Running(parts, str(found.get("zipkin", "")).rstrip("/"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotRunningError(f"Nothing runs here: {file} does not say where. Start it with `make demo`.") from error
