"""`provisioner once` brings Kafka in line and ends; `provisioner watch` keeps it so."""

import argparse
import logging
import signal
import sys
import threading
from types import FrameType

from provisioner import declared, settings, work
from provisioner.cluster import OutOfLine


def main() -> int:
    """The command line. The exit code is 2 when a person has to decide something first."""
    parser = argparse.ArgumentParser(prog="provisioner", description=__doc__)
    parser.add_argument("how", choices=("once", "watch"))
    how = parser.parse_args().how
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    given = settings.load()
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        found = declared.read(given.topics)
        if how == "once":
            work.once(given, found)
        else:
            work.watch(given, found, stop)
    except (declared.Unreadable, OutOfLine) as error:
        sys.exit(f"cannot go on: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
