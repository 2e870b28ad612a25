"""Only `decide` makes a Permit in the gateway, only `verify` elsewhere, and no setting turns decision or record off."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.settings import Settings as Common
from gateway import app
from gateway.handlers import records
from gateway.model.decide import decide
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
MAKERS = {Path("chassis/chassis/permit.py"): "verify", Path("gateway/gateway/model/decide.py"): "_on_grants"}
_COPIES = frozenset({"replace", "__new__", "__setattr__", "setattr", "deepcopy", "convert", "__replace__"})


def sources() -> Iterator[Path]:
    return (path for path in SERVICES.glob("*/*/**/*.py") if "migrations" not in path.parts)


def makings(tree: ast.AST) -> list[tuple[str, int]]:
    """(function, line) of every place where a Permit is made, by its name, by another name, or as a changed copy."""
    names = {"Permit"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "Permit" and alias.asname
    }
    found: list[tuple[str, int]] = []

    def visit(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Call) and _makes(child, names):
                found.append((inner, child.lineno))
            if isinstance(child, ast.Assign) and _named(child.value) in names:
                found.append((inner, child.lineno))  # another name for the class
            visit(child, inner)

    visit(tree, "")
    return found


def _named(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def _makes(call: ast.Call, names: set[str]) -> bool:
    name = _named(call.func)
    if name in names:
        return True
    said = [ast.unparse(one) for one in (*call.args, *(keyword.value for keyword in call.keywords))]
    if name in _COPIES and (isinstance(call.func, ast.Attribute) or name != "replace" or len(call.args) == 1):
        about = [ast.unparse(call.func), *said[:1], *(said if name == "convert" else [])]
        return any("permit" in text.lower() for text in about)
    return name in {"partial", "map", "starmap"} and any(text.split(".")[-1] in names for text in said)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("from chassis.permit import Permit\nPermit('s', 'read', 'p', ())", True),
        ("from chassis.permit import Permit as P\nP('s', 'read', 'p', ())", True),
        ("from chassis import permit\npermit.Permit('s', 'read', 'p', ())", True),
        ("from chassis.permit import Permit\nMine = Permit", True),
        ("from dataclasses import replace\nreplace(permit, cells=())", True),
        ("import dataclasses\ndataclasses.replace(signed.permit, cells=())", True),
        ("object.__new__(Permit)", True),
        ("object.__setattr__(permit, 'cells', ())", True),
        ("msgspec.convert(found, Permit)", True),
        ("functools.partial(Permit, 's')", True),
        ("def read(permit: Permit) -> None:\n    isinstance(permit, Permit)\n    text.replace('a', 'b')", False),
    ],
)
def test_the_rule_sees_every_way_of_making_a_permit(source: str, made: bool) -> None:
    assert bool(makings(ast.parse(source))) is made


def test_only_decide_and_verify_make_a_permit() -> None:
    made = [
        (path.relative_to(SERVICES), function)
        for path in sources()
        for function, _ in makings(ast.parse(path.read_text("utf-8")))
    ]
    assert sorted(made) == sorted(MAKERS.items())


def test_the_gateway_decides_by_the_rules_and_records_on_kafka_unless_code_says_otherwise() -> None:
    parameters = inspect.signature(app.create_app).parameters
    assert parameters["decide"].default is decide
    assert parameters["record"].default is app.kafka_records
    assert parameters["decide"].kind is parameters["record"].kind is inspect.Parameter.KEYWORD_ONLY


def choices(source: str) -> list[str]:
    """Where a function chooses, or gives `decide` or `record` another meaning."""
    tree = ast.parse(textwrap.dedent(source))
    found = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.IfExp | ast.Match | ast.BoolOp)
        and {"decide", "record", "records"} & {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    ]
    return found + [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in {"decide", "record"}
    ]


def test_a_choice_about_decision_or_record_would_be_seen() -> None:
    assert choices("def f():\n    if settings.bare:\n        decide = everything\n")
    assert choices("def f():\n    records = record(settings, now) if settings.recorded else nothing\n")
    assert not choices("def f():\n    records = record(settings, now)\n")


def test_nothing_in_the_settings_chooses_another_decision_or_record() -> None:
    assert choices(inspect.getsource(app.create_app)) == []
    made = ast.parse(inspect.getsource(app.kafka_records))
    assert not [node for node in ast.walk(made) if isinstance(node, ast.If | ast.IfExp | ast.Match | ast.BoolOp)]
    for setting in Settings.model_fields.keys() - Common.model_fields.keys():
        assert not {"decide", "decision", "record", "check", "cut", "lease", "bare"} & set(setting.split("_")), setting


def test_only_tests_pass_another_decision_or_record() -> None:
    for folder in ("services", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _named(node.func) == "create_app":
                    assert not {"decide", "record", None} & {keyword.arg for keyword in node.keywords}, path


def test_the_steps_of_a_read_know_no_settings_and_no_environment() -> None:
    for name in ("api/door.py", "api/wire.py", "handlers/door.py", "handlers/owners.py", "handlers/records.py",
                 "handlers/answers.py", "model/decide.py", "model/cut.py", "model/lease.py"):  # fmt: skip
        tree = ast.parse((SERVICES / "gateway" / "gateway" / name).read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert "settings" not in (node.module or ""), name
                assert node.module != "os", name
            if isinstance(node, ast.Import):
                assert "os" not in {alias.name for alias in node.names}, name


def test_an_answer_leaves_the_door_by_its_wire_only() -> None:
    tree = ast.parse((SERVICES / "gateway" / "gateway" / "api" / "door.py").read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in {"_send", "send"}]


def test_a_record_is_handed_over_in_one_place() -> None:
    tree = ast.parse(inspect.getsource(records))
    uses = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("_producer.send")
    ]
    assert len(uses) == 1
