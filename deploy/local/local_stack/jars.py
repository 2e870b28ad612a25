"""The jars of Kafka, the OpenID provider and Zipkin: pinned one by one, fetched, and checked each time before use."""

import hashlib
import itertools
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_stack.trouble import Trouble

PINNED = Path(__file__).parents[1] / "jars.toml"
_AT_ONCE, _TRIES = 12, 3

Fetch = Callable[[str], Path]
"""From `group:artifact:version[:classifier]` to a file that was just fetched and is the caller's to move."""


def pinned(part: str, pins: Path = PINNED) -> Mapping[str, str]:
    """Coordinate and SHA-256 of every jar of the part."""
    return dict(tomllib.loads(pins.read_text())[part])


def fetcher(incoming: Path) -> Fetch:
    """Fetches single jars into the folder, from where jgo would. No POM is read: nothing is left to resolve."""
    import requests  # a warm start needs none of this
    from jgo.maven import MavenContext

    context, mine = MavenContext(repo_cache=incoming), threading.local()

    def load(address: str, goal: Path) -> None:
        if not hasattr(mine, "session"):  # one for each thread: a new connection for each jar costs more than the jar
            mine.session = requests.Session()
        with mine.session.get(address, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            with goal.open("wb") as file:
                for chunk in answer.iter_content(1 << 18):
                    file.write(chunk)

    def fetch(coordinate: str) -> Path:
        group, artifact, version, *classifier = coordinate.split(":")
        wanted = context.project(group, artifact).at_version(version).artifact(*classifier)
        path = f"{wanted.component.path_prefix.as_posix()}/{wanted.filename}"
        goal = incoming / f"{group}-{wanted.filename}"
        failure: Exception | None = None
        for attempt, repository in itertools.product(range(_TRIES), context.remote_repos.values()):
            try:
                load(f"{repository}/{path}", goal)
            except (requests.RequestException, OSError) as error:
                failure = error
                time.sleep(attempt)
            else:
                return goal
        raise Trouble(f"Cannot fetch the jar {coordinate}: {type(failure).__name__}: {failure}")

    return fetch


def place(cache: Path, coordinate: str) -> Path:
    """Where the jar is kept once it was checked."""
    group, artifact, version, *classifier = coordinate.split(":")
    return cache / group / f"{'-'.join((artifact, version, *classifier))}.jar"


def checked(wanted: Mapping[str, str], cache: Path, fetch: Callable[[], Fetch]) -> list[Path]:
    """The files, in the order of the list. Each is hashed at every call: one that differs is deleted and refused.

    `fetch` is called once, and only if something is missing. Trouble names the first jar that is not what was pinned.
    """
    missing = [coordinate for coordinate in wanted if not place(cache, coordinate).exists()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        if missing:
            get = fetch()
            list(pool.map(lambda coordinate: _take(coordinate, wanted[coordinate], cache, get), missing))
        return list(pool.map(lambda item: _check(item[0], place(cache, item[0]), item[1]), wanted.items()))


def _take(coordinate: str, sha256: str, cache: Path, fetch: Fetch) -> None:
    fresh = _check(coordinate, fetch(coordinate), sha256)
    goal = place(cache, coordinate)
    goal.parent.mkdir(parents=True, exist_ok=True)
    fresh.replace(goal)


def _check(coordinate: str, path: Path, sha256: str) -> Path:
    if _sha256(path) != sha256:
        path.unlink()
        raise Trouble(f"The jar {coordinate} is not the one pinned in deploy/local/jars.toml: refused and deleted.")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
