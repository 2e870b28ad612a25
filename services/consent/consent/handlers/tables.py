"""The data files of consent: the age-and-law table, the consent texts and the words for looks, each read once."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from consent.model import law, texts, words

_DATA = Path(__file__).parent.parent / "data"


@cache
def current_law() -> law.Law:
    """The packaged age-and-law table. It never changes while a process runs; LawInvalid when it cannot be read."""
    return law.parse(_read(_DATA / "law.toml"))


def consent_texts(file: Path | None, *, drafts: bool) -> texts.Texts:
    """The consent texts in `file`, or the packaged ones; TextsInvalid when none of them may be shown."""
    return texts.usable(_read(file or _DATA / "texts.toml"), drafts=drafts)


@cache
def current_words() -> dict[str, words.Words]:
    """The packaged words for looks, by language; WordsInvalid when they cannot be used."""
    return words.usable(_read(_DATA / "words.toml"), current_law().zone)


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))
