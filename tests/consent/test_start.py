"""What stops the start: texts nobody approved, in production; one clear sentence, and nothing opened."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from consent import __main__ as program
from consent.app import create_app
from consent.handlers.tables import current_law
from consent.model.law import LawInvalid
from consent.model.text_files import TextsInvalid
from tests.consent.callers import settings_for
from tests.consent.writing import DRAFT, approved, folder, written

DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


def approving(folder: Path) -> Path:
    """Somebody's name under the packaged law table."""
    file = folder.parent / f"{folder.name}-approval.toml"
    file.write_text(f'version = "{current_law().version}"\nby = "Kari Lov, Solvik kommune"\nat = 2026-11-20\n')
    return file


def test_production_does_not_start_without_an_approved_consent_text(tmp_path: Path) -> None:
    with pytest.raises(TextsInvalid, match="no approved consent text"):
        create_app(settings_for(DATABASE, DATABASE, mode="production", law_approval=approving(tmp_path)))
    texts = folder(tmp_path, nb=written("nb", v1=approved()), so=written("so", v1=DRAFT))
    law = approving(tmp_path)
    create_app(settings_for(DATABASE, DATABASE, mode="production", consent_texts=texts, law_approval=law))


def test_production_does_not_start_with_a_row_of_the_law_table_that_nobody_has_verified_or_approved(
    tmp_path: Path,
) -> None:
    texts = folder(tmp_path, nb=written("nb", v1=approved()))
    given: dict[str, object] = {"mode": "production", "consent_texts": texts}
    with pytest.raises(LawInvalid, match="row general-0-7: nobody who may has verified or approved it"):
        create_app(settings_for(DATABASE, DATABASE, **given))
    create_app(settings_for(DATABASE, DATABASE, **given, law_approval=approving(tmp_path)))
    create_app(settings_for(DATABASE, DATABASE, mode="synthetic"))


def test_a_file_of_texts_that_cannot_be_read_stops_the_start_by_its_name(tmp_path: Path) -> None:
    texts = folder(tmp_path, nb=written("nb", v1=DRAFT), so="version = ")
    with pytest.raises(TextsInvalid, match=r"so\.toml cannot be read"):
        create_app(settings_for(DATABASE, DATABASE, consent_texts=texts))


def test_the_program_says_in_one_sentence_why_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    given = {
        "MODE": "production", "DATABASE_URL": DATABASE, "KEYS_DATABASE_URL": DATABASE, "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "KAFKA_USER": "consent", "KAFKA_PASSWORD": "-", "INNER_KEY": key, "HASH_KEY": key, "KEY_ENCRYPTION_KEY": key,
        "LEDGER_SIGNING_KEY": key, "LEDGER_ORIGIN": "samlogg.test/ledger", "LEADER_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"SAMLOGG_{name}", value)
    with pytest.raises(SystemExit, match=r"^cannot start: SAMLOGG_LAW_TABLE, SAMLOGG_LAW_APPROVAL: law table, row "):
        program.main()
    monkeypatch.setenv("SAMLOGG_LAW_APPROVAL", str(approving(tmp_path)))
    with pytest.raises(SystemExit, match=r"^cannot start: SAMLOGG_CONSENT_TEXTS: there is no approved consent text"):
        program.main()
    monkeypatch.setenv("SAMLOGG_HASH_KEY", base64.b64encode(bytes(32)).decode())
    with pytest.raises(SystemExit, match=r"^cannot start: SAMLOGG_HASH_KEY: .*zeros"):
        program.main()


def test_which_test_numbers_are_taken_is_a_setting_and_production_takes_none() -> None:
    assert settings_for(DATABASE, DATABASE).series == {"skatteetaten"}
    assert settings_for(DATABASE, DATABASE, test_series="nhn, nav").series == {"nhn", "nav"}
    assert settings_for(DATABASE, DATABASE, mode="production").series == frozenset()
    for wrong in ("", "tenor", "nhn,", "skatteetaten nhn"):
        with pytest.raises(ValidationError, match="must be some of"):
            settings_for(DATABASE, DATABASE, test_series=wrong)
    with pytest.raises(ValidationError, match="production takes nobody's numbers"):
        settings_for(DATABASE, DATABASE, mode="production", test_series="skatteetaten")


def test_a_person_register_is_followed_over_tls_alone_where_people_are_real() -> None:
    assert settings_for(DATABASE, DATABASE, register_url="http://127.0.0.1:8071").register_url is not None
    assert settings_for(DATABASE, DATABASE, mode="production", register_url="https://register.example").register_url
    with pytest.raises(ValidationError, match="SAMLOGG_REGISTER_URL must be https"):
        settings_for(DATABASE, DATABASE, mode="production", register_url="http://register.example")
