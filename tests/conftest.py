"""Fixtures that all tests share: the real PostgreSQL and Kafka of the run, and the check that nothing stays behind."""

import signal
from collections.abc import Iterator

import psutil
import pytest

from local_stack.trouble import Trouble
from tests import stack


def pytest_configure() -> None:
    """A run that is told to end (a time limit, a machine's supervisor) ends what it started, as after Ctrl-C."""
    # By way of SIGINT, which asyncio knows how to end a running loop by; a shell's background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        stack.provider()  # what cannot be had is said here once, not by every test
    except Trouble as trouble:
        raise pytest.UsageError(str(trouble)) from None


@pytest.fixture(scope="session")
def postgres() -> Iterator[stack.Postgres]:
    """One PostgreSQL for the run; take `postgres.fresh_database(name)` from it."""
    with stack.provider().postgres() as started:
        yield started


@pytest.fixture(scope="session")
def kafka() -> Iterator[stack.Kafka]:
    """One Kafka for the run; take `kafka.fresh_topic(partitions, config)` from it."""
    with stack.provider().kafka() as started:
        yield started


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that leaves a process behind has failed, whatever its tests said."""
    left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    if left:
        names = ", ".join(f"{child.pid} {' '.join(child.cmdline())[:80]}" for child in left)
        print(f"\nprocesses left behind: {names}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
