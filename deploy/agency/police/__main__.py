"""Commands: make our keys, note that we are attached, run."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys

from police import keys, service
from police.settings import Settings, UnsafeSettingsError, load


def attach_key(settings: Settings) -> None:
    """Print the public key that Samlogg seals our Kafka credential to; give it to whoever attaches us."""
    print(json.dumps(keys.public_jwk(keys.key(settings.folder, keys.SEALING), "enc", "RSA-OAEP-256")))


def client_key(settings: Settings) -> None:
    """Print the public key of our machine client; register it where machine tokens are issued."""
    print(json.dumps(keys.public_jwk(keys.key(settings.folder, keys.CLIENT), "sig", "RS256")))


def attached(settings: Settings, attachment: str) -> None:
    """Note the id that our attachment was given; a service that runs and waits for it goes on by itself."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys.write_private(settings.folder / service.ATTACHMENT, attachment)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    if not settings.gateways or not settings.issuer:
        raise UnsafeSettingsError("POLICE_GATEWAY and POLICE_ISSUER must be set.")
    running = asyncio.ensure_future(service.run(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        logging.getLogger("police").info("stopped")


def main() -> int:
    """The command line; the exit code is 2 when a setting is missing or unsafe."""
    parser = argparse.ArgumentParser(prog="police", description="An example of an agency's own service")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("attach-key", help="make the key pair and print its public half")
    commands.add_parser("client-key", help="the same for the machine client")
    commands.add_parser("attached", help="note the id of our attachment").add_argument("id")
    commands.add_parser("run", help="listen, fetch, keep what was granted")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load(os.environ)
        if given.command == "attach-key":
            attach_key(settings)
        elif given.command == "client-key":
            client_key(settings)
        elif given.command == "attached":
            attached(settings, given.id)
        else:
            asyncio.run(run(settings))
    except UnsafeSettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
