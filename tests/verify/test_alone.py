"""The verifier stands alone: it is installed by itself, and trusts none of our code."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "deploy" / "tools"
ALLOWED = {
    "verify": ("samlogg_verify", {"cryptography"}), "witness": ("samlogg_witness", {"cryptography", "aiohttp"})
}  # fmt: skip


def imported(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("" if node.level else (node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("tool", ALLOWED)
def test_a_tool_that_others_must_be_able_to_trust_imports_nothing_of_ours(tool: str) -> None:
    package, allowed = ALLOWED[tool]
    files = list((TOOLS / tool / package).rglob("*.py"))
    assert len(files) > 4
    for file in files:
        strange = imported(file.read_text()) - allowed - {package} - set(sys.stdlib_module_names)
        assert not strange, f"{file.name}: {strange}"


@pytest.mark.parametrize("tool", ALLOWED)
def test_it_needs_only_what_it_says(tool: str) -> None:
    project = tomllib.loads((TOOLS / tool / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[<>=\[ ]", one)[0] for one in project["dependencies"]} == ALLOWED[tool][1]


def test_an_import_of_ours_would_be_seen() -> None:
    assert imported("import chassis.clock\nfrom consent.model import tree") == {"chassis", "consent"}
    assert imported("from . import notes") == {""}


def test_nothing_of_ours_is_loaded_when_it_runs() -> None:
    code = "import sys, samlogg_verify.__main__; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert not {"chassis", "consent", "gateway", "directory", "logbook", "notify"} & set(ast.literal_eval(done.stdout))
