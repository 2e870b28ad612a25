"""Settings come from the environment or secret files, and an unsafe one stops the start with one sentence."""

import base64
from pathlib import Path

import pytest

from chassis.settings import Settings, load

GOOD = {
    "SAMLOGG_DATABASE_URL": "postgresql+asyncpg://u:p@127.0.0.1/x", "SAMLOGG_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "SAMLOGG_KAFKA_USER": "u", "SAMLOGG_KAFKA_PASSWORD": "p", "SAMLOGG_INNER_KEY": base64.b64encode(b"k" * 32).decode(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SAMLOGG_SECRETS_DIR", raising=False)


def test_production_is_what_nobody_chose() -> None:
    assert not load(Settings).synthetic


def test_a_secret_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMLOGG_KAFKA_PASSWORD")
    (tmp_path / "samlogg_kafka_password").write_text("from-file")
    monkeypatch.setenv("SAMLOGG_SECRETS_DIR", str(tmp_path))
    assert load(Settings).kafka_password.get_secret_value() == "from-file"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAMLOGG_INNER_KEY", ""), ("SAMLOGG_INNER_KEY", "c2hvcnQ="), ("SAMLOGG_INNER_KEY", "not base64 !"),
        ("SAMLOGG_INNER_KEY", base64.b64encode(bytes(32)).decode()), ("SAMLOGG_MODE", "demo"),
        ("SAMLOGG_REPLICA", "../../x"), ("SAMLOGG_PORT", "70000"),
    ],
)  # fmt: skip
def test_an_unsafe_setting_stops_the_start_with_one_sentence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(Settings)
    told = str(stopped.value)
    assert told.startswith(f"cannot start: {name}: ")
    assert "\n" not in told
    assert not value or value not in told.removeprefix(f"cannot start: {name}: ") or len(value) < 5


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    shown = repr(load(Settings))
    assert "p@127" not in shown
    assert "kkkk" not in shown
