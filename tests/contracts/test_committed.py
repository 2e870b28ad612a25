"""The contracts in the repository: as the code gives them, and as main's consumers can go on reading them."""

import json
import subprocess
from pathlib import Path

import pytest

from chassis import contract
from tests.contracts.compatible import breaking
from tests.contracts.messages import FOLDERS, ROOT, SERVICES


@pytest.mark.parametrize("name", FOLDERS)
def test_the_committed_contract_is_what_the_code_gives(name: str) -> None:
    given = {file: contract.text(content) for file, content in contract.contract(name, ROOT / "services").items()}
    found = {path.name: path.read_text() for path in FOLDERS[name].iterdir()}
    wrong = sorted(file for file in {*given, *found} if given.get(file) != found.get(file))
    assert wrong == [], "run `make contracts`, and look at what changed"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_describes_its_doors_its_routes_and_its_events(name: str) -> None:
    folder = FOLDERS[name]
    assert json.loads((folder / "openapi.json").read_text())["openapi"].startswith("3.1")
    assert json.loads((folder / "asyncapi.json").read_text())["asyncapi"] == "3.0.0"
    assert json.loads((folder / "routes.json").read_text())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_schema_differs_from_the_one_on_main_only_by_added_optional_fields(name: str) -> None:
    wrong = []
    for path in _on_main(FOLDERS[name]):
        now = ROOT / path
        if not now.is_file():
            wrong.append(f"{path} was taken away")
        else:
            wrong += [f"{path}: {one}" for one in breaking(json.loads(_git("show", f"{_main()}:{path}")), _json(now))]
    assert wrong == []


def _on_main(folder: Path) -> list[str]:
    names = _git("ls-tree", "--name-only", _main(), f"{folder.relative_to(ROOT)}/").splitlines()
    return [name for name in names if name.endswith(".schema.json")]


def _json(path: Path) -> object:
    return json.loads(path.read_text())


def _main() -> str:
    """The branch that is compared with; a shallow checkout of one commit only has its own."""
    for name in ("main", "origin/main"):
        if subprocess.run(["git", "rev-parse", "--verify", "-q", name], cwd=ROOT, capture_output=True).returncode == 0:
            return name
    return "HEAD"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
