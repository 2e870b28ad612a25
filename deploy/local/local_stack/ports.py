"""Free ports on loopback: the usual one where it is free, else one of the same ending."""

import atexit
import random
import socket
import sys

from local_stack.trouble import Trouble

LOOPBACK = "127.0.0.1"
_STEP, _TRIES = 100, 40
_ANY = (20_000, 32_768)


def is_free(port: int) -> bool:
    """Nobody listens on the port, on loopback or on all addresses. A connection that is closing does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class Ports:
    """Gives each name one port, and no port twice. What it gave is remembered only while this process lives.

    A port is reserved until `release`: a stack that starts while this one has not bound it yet does not take it.
    """

    def __init__(self) -> None:
        self.given: dict[str, int] = {}
        self._reserved: list[socket.socket] = []

    def find(self, name: str, usual: int) -> int:
        """The usual port, or the first free one a hundred, two hundred … above it: below the range that the
        system hands out to outgoing connections, which might take it before the part does. Trouble if all are taken.
        """
        for port in range(usual, min(usual + _STEP * _TRIES, 65_536), _STEP):
            if self.take(name, port):
                return port
        raise Trouble(f"No free port for {name}: {usual} and those like it are taken.")

    def take(self, name: str, port: int) -> bool:
        """Give this very port to the name; False if somebody has it, or another stack has reserved it."""
        if port in self.given.values() or not is_free(port) or not self._reserve(port):
            return False
        self.given[name] = port
        return True

    def release(self) -> None:
        """Forget everything."""
        self.given.clear()
        while self._reserved:
            self._reserved.pop().close()

    def _reserve(self, port: int) -> bool:
        """A name that only one process can have, and that goes when the process goes. Only Linux has such names."""
        if sys.platform != "linux":
            return True
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mark.bind(f"\0samlogg-port-{port}")
        except OSError:
            mark.close()
            return False
        self._reserved.append(mark)
        return True


_any = Ports()
atexit.register(_any.release)


def any_port() -> int:
    """A free port for tests, below the range of outgoing connections; nobody gets it twice while this process lives."""
    while True:
        port = random.randrange(*_ANY)
        if _any.take(str(port), port):
            return port


def accepts(port: int) -> bool:
    """Somebody answers a connection there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
