"""`make demo ONCE=1` in a fresh clone on an empty machine, and once more where it is warm."""

import os
import tempfile
from collections.abc import Iterator

from tests.bench.demonstrating import fresh_copy, seconds_of_demo
from tests.bench.report import Figure


def measure() -> Iterator[Figure]:
    """Seconds of the first and of the second start. The caches of pip, uv and jars are empty the first time."""
    with fresh_copy() as where, tempfile.TemporaryDirectory(prefix="samlogg-caches-") as caches:
        empty = {"XDG_CACHE_HOME": caches, "PIP_CACHE_DIR": f"{caches}/pip", "UV_CACHE_DIR": f"{caches}/uv"}
        ours = ("PYTHON", "VIRTUAL_ENV", "SAMLOGG_", "OTEL_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | empty
        first = seconds_of_demo(where, environment)
        yield Figure("first `make demo ONCE=1` on an empty machine", first, "s", "<= 240", "120")
        warm = seconds_of_demo(where, environment)
        yield Figure("`make demo ONCE=1` on a warm machine", warm, "s", "<= 60", "30")
