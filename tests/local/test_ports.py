"""Free ports are found when the usual ones are taken, and kept free until they are used."""

import random
import socket
from collections.abc import Callable, Iterator

import pytest

from local_stack.ports import LOOPBACK, Ports, any_port, is_free
from local_stack.trouble import Trouble


def listening(address: str, port: int = 0) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((address, port))
    taken.listen()
    return taken


@pytest.fixture
def ports() -> Iterator[Callable[[], Ports]]:
    made: list[Ports] = []

    def make() -> Ports:
        made.append(Ports())
        return made[-1]

    yield make
    for one in made:
        one.release()


Make = Callable[[], Ports]


def usual() -> int:
    """A port that is free, with the next two of its ending free too."""
    while True:
        port = random.randrange(1024, 8_000)
        if all(map(is_free, (port, port + 100, port + 200))):
            return port


def test_the_usual_port_is_given_when_it_is_free(ports: Make) -> None:
    wanted = usual()
    assert ports().find("kafka", wanted) == wanted


@pytest.mark.parametrize("address", [LOOPBACK, "0.0.0.0"])
def test_another_port_is_given_when_the_usual_one_is_taken(ports: Make, address: str) -> None:
    wanted = usual()
    with listening(address, wanted):
        assert ports().find("kafka", wanted) == wanted + 100


def test_no_two_parts_get_the_same_port(ports: Make) -> None:
    mine, wanted = ports(), usual()
    assert mine.find("gateway-1", wanted) != mine.find("gateway-2", wanted)
    assert set(mine.given) == {"gateway-1", "gateway-2"}


def test_two_stacks_that_start_at_once_do_not_find_the_same_port(ports: Make) -> None:
    wanted, first, second = usual(), ports(), ports()
    assert first.find("kafka", wanted) != second.find("kafka", wanted)
    first.release()
    assert ports().find("kafka", wanted) == wanted


def test_a_port_whose_last_connection_is_still_closing_is_free(ports: Make) -> None:
    server = listening(LOOPBACK)
    port = server.getsockname()[1]
    client = socket.create_connection((LOOPBACK, port))
    accepted, _ = server.accept()
    accepted.close()  # who closes first waits a minute
    client.close()
    server.close()
    assert is_free(port)
    assert ports().find("kafka", port) == port


def test_it_says_so_when_every_port_is_taken(ports: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.ports.is_free", lambda _: False)
    with pytest.raises(Trouble, match="No free port for kafka"):
        ports().find("kafka", 9092)


def test_no_port_is_drawn_twice_nor_found_by_a_stack_that_starts_meanwhile(
    ports: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.ports._ANY", (31_000, 31_400))
    drawn = [any_port() for _ in range(200)]
    assert len(set(drawn)) == 200
    assert not any(ports().take("kafka", port) for port in drawn)
