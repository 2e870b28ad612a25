"""What stops the start: texts nobody approved, in production; one clear sentence, and nothing opened."""

import base64
from pathlib import Path

import pytest

import consent.handlers.tables as tables
from consent import __main__ as program
from consent.app import create_app
from consent.model.texts import TextsInvalid
from tests.consent.callers import settings_for

DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


def approved(folder: Path) -> Path:
    """The packaged texts, the one in bokmål approved."""
    text = (Path(tables.__file__).parents[1] / "data" / "texts.toml").read_text()
    signed = text.replace(
        'status = "draft"\napproved_by = ""', 'status = "approved"\napproved_by = "Solvik kommune"', 1
    )
    file = folder / "texts.toml"
    file.write_text(signed)
    return file


def test_production_does_not_start_without_an_approved_consent_text(tmp_path: Path) -> None:
    with pytest.raises(TextsInvalid, match="no approved consent text"):
        create_app(settings_for(DATABASE, DATABASE, mode="production"))
    create_app(settings_for(DATABASE, DATABASE, mode="production", consent_texts=approved(tmp_path)))


def test_the_program_says_in_one_sentence_why_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    given = {
        "MODE": "production", "DATABASE_URL": DATABASE, "KEYS_DATABASE_URL": DATABASE, "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "KAFKA_USER": "consent", "KAFKA_PASSWORD": "-", "INNER_KEY": key, "HASH_KEY": key, "KEY_ENCRYPTION_KEY": key,
        "LEDGER_SIGNING_KEY": key, "LEDGER_ORIGIN": "samlogg.test/ledger", "LEADER_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"SAMLOGG_{name}", value)
    with pytest.raises(SystemExit, match=r"^cannot start: SAMLOGG_CONSENT_TEXTS: there is no approved consent text"):
        program.main()
    monkeypatch.setenv("SAMLOGG_HASH_KEY", base64.b64encode(bytes(32)).decode())
    with pytest.raises(SystemExit, match=r"^cannot start: SAMLOGG_HASH_KEY: .*zeros"):
        program.main()
