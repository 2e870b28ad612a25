"""The data files of consent: law table, consent texts, words for looks, record of processing; each read once."""

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from consent.model import law, law_file, processing, text_files, texts, words

_DATA = Path(__file__).parent.parent / "data"
LAW = _DATA / "law.toml"


@cache
def current_law() -> law.Law:
    """The packaged age-and-law table, of no municipality; LawInvalid when it cannot be read."""
    return law_table(LAW)


def law_table(
    file: Path | None, *, municipality: str | None = None, approval: Path | None = None, production: bool = False
) -> law.Law:
    """The age-and-law table in `file`, or the packaged one, as it holds in a municipality. It never changes while a
    process runs; LawInvalid when it, or the approval of it, cannot be used."""
    signed = None if approval is None else law_file.approval_of(_read(approval))
    return law_file.parse(_read(file or LAW), municipality=municipality, approval=signed, production=production)


def consent_texts(folder: Path | None, today: date, *, drafts: bool) -> texts.Texts:
    """The consent texts in `folder`, a file for each language, or the packaged ones; TextsInvalid when one is not to be
    relied on, or none may be shown."""
    return text_files.usable(
        {file.stem: _text_file(file) for file in (folder or _DATA / "texts").glob("*.toml")}, today, drafts=drafts
    )


def _text_file(file: Path) -> dict[str, Any]:
    try:
        return _read(file)
    except ValueError as error:
        raise text_files.TextsInvalid(f"the file {file.name} cannot be read") from error


@cache
def current_words() -> dict[str, words.Words]:
    """The packaged words for looks, by language; WordsInvalid when they cannot be used."""
    return words.usable(_read(_DATA / "words.toml"), current_law().zone)


@cache
def current_frames() -> dict[str, words.Words]:
    """The packaged words for printed forms, by language; WordsInvalid when they cannot be used."""
    return words.frames(_read(_DATA / "forms.toml"), current_words(), current_law().zone)


@cache
def current_processing() -> processing.Processing:
    """The packaged record of processing; ProcessingInvalid when it cannot be used."""
    return processing.parse(_read(_DATA / "processing.toml"))


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))
