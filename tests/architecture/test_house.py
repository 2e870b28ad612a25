"""The shape of the house: the same modules in every service, dependencies that point inwards, no way round."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("consent", "directory", "gateway", "logbook", "notify")
ANATOMY = {"__main__", "api", "app", "handlers", "messages", "model", "settings", "storage", "subscribers"}
FRAMEWORKS = {
    "fastapi",
    "faststream",
    "sqlalchemy",
    "aiokafka",
    "aiohttp",
    "asyncpg",
    "pydantic",
    "starlette",
    "opentelemetry",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("chassis", *SERVICES, include_external_packages=True, cache_dir=None)


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_nine_modules_and_no_others(service: str) -> None:
    folder = ROOT / "services" / service / service
    found = {path.stem if path.is_file() else path.name for path in folder.iterdir() if path.suffix in ("", ".py")}
    found = {name for name in found if not name.startswith("__") or name == "__main__"}
    data = {path.name for path in folder.iterdir() if path.is_dir() and not any(path.glob("*.py"))}
    assert found - data == ANATOMY


def test_no_service_imports_another(graph: grimp.ImportGraph) -> None:
    across = [
        (importer, imported)
        for importer in SERVICES
        for imported in SERVICES
        if importer != imported and graph.find_shortest_chains(importer, imported, as_packages=True)
    ]
    assert across == []


def test_the_chassis_imports_no_service(graph: grimp.ImportGraph) -> None:
    assert [s for s in SERVICES if graph.find_shortest_chains("chassis", s, as_packages=True)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_dependencies_point_inwards(service: str, graph: grimp.ImportGraph) -> None:
    """model knows nothing of ours but chassis' permit, clock and problems; handlers know no door; app knows all."""
    forbidden = {
        "model": ANATOMY - {"model"},
        "messages": ANATOMY - {"messages", "model"},
        "storage": {"api", "subscribers", "app", "handlers", "__main__"},
        "handlers": {"api", "subscribers", "app", "__main__"},
        "api": {"subscribers", "app", "__main__"},
        "subscribers": {"api", "app", "__main__"},
    }
    wrong = [
        f"{service}.{inner} imports {service}.{outer}"
        for inner, outers in forbidden.items()
        for outer in outers
        if direct(graph, f"{service}.{inner}", f"{service}.{outer}")
    ]
    assert wrong == []


def direct(graph: grimp.ImportGraph, importer: str, imported: str) -> bool:
    if importer not in graph.modules or imported not in graph.modules:
        return False
    inside = {importer} | graph.find_descendants(importer)
    target = {imported} | graph.find_descendants(imported)
    return any(found in target for module in inside for found in graph.find_modules_directly_imported_by(module))


@pytest.mark.parametrize("service", SERVICES)
def test_the_model_knows_no_framework(service: str, graph: grimp.ImportGraph) -> None:
    modules = {f"{service}.model"} | graph.find_descendants(f"{service}.model")
    used = {found.split(".")[0] for module in modules for found in graph.find_modules_directly_imported_by(module)}
    assert used & FRAMEWORKS == set()


def test_no_service_makes_a_topic() -> None:
    makers = re.compile(r"\.create_topics|NewTopic|create_partitions|allow_auto_create_topics\s*=\s*True")
    assert [str(path) for path, _ in sources("services") if makers.search(path.read_text())] == []


def test_no_subscriber_loses_messages_and_every_router_comes_from_the_chassis() -> None:
    wrong = []
    for path, tree in sources("services"):
        text = path.read_text()
        for policy in ("ACK_FIRST", "AckPolicy.ACK", "REJECT_ON_ERROR"):
            if re.search(rf"{re.escape(policy)}\b", text):
                wrong.append(f"{path}: {policy}")
        if path.parts[-2:] != ("chassis", "kafka.py"):
            wrong += [f"{path}: {name}" for name in called(tree) if name in ("KafkaRouter", "KafkaBroker")]
    assert wrong == []


def called(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


def test_importing_any_module_opens_nothing() -> None:
    """No call at import that connects, reads settings or starts work (style.md: work at import)."""
    opening = {
        "create_app",
        "make_engine",
        "make_broker",
        "make_producer",
        "make_consumer",
        "load",
        "connect",
        "run",
        "serve",
    }
    wrong = []
    for path, tree in sources("services"):
        if path.name in ("__main__.py", "env.py", "contract.py"):
            continue
        for node in tree.body:
            if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign):
                wrong += [f"{path}: {name}" for name in called(ast.Module([node], [])) if name in opening]
    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_a_package_of_its_own(service: str) -> None:
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())
    names = {re.split(r"[<>=\[ ]", dependency)[0] for dependency in project["project"]["dependencies"]}
    assert "samlogg-chassis" in names
    assert not names & {f"samlogg-{other}" for other in SERVICES}
    assert (ROOT / "services" / service / "README.md").is_file()
    assert (ROOT / "services" / service / "migrations" / "env.py").is_file()
    assert (ROOT / "services" / service / "contract" / "openapi.json").is_file()


def test_nothing_tells_where_it_was_built() -> None:
    found = []
    for path in ROOT.rglob("*"):
        kept = path.is_file() and not any(
            part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts
        )
        if (
            kept
            and path.suffix in (".py", ".toml", ".md", ".txt", ".json", ".yaml", "")
            and path.stat().st_size < 2_000_000
        ):
            text = path.read_text(errors="replace")
            if re.search("/" + r"(work|farm)/(main|steering|shared)\b", text):
                found.append(str(path))
    assert found == []


def test_the_lock_names_no_download_address() -> None:
    assert not re.search(r"https?://|file:", (ROOT / "requirements.txt").read_text())
