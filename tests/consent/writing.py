"""Files of consent texts for tests: the packaged wording, in versions of any status."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import consent.handlers.tables as tables
from consent.model.text_files import usable
from consent.model.texts import Texts

FOLDER = Path(tables.__file__).parents[1] / "data" / "texts"
SHIPPED = sorted(file.stem for file in FOLDER.glob("*.toml"))
VERSION = "2026-11-2"
TODAY = date(2026, 11, 23)

DRAFT = 'status = "draft"'
WITHDRAWN = 'status = "withdrawn"\nwithdrawn_on = 2026-10-01'


def approved(since: str = "2026-01-01", on: str = "2026-01-01", status: str = "approved") -> str:
    """How a text says that a municipality approved it."""
    extra = "\nwithdrawn_on = 2026-10-01" if status == "withdrawn" else ""
    return f'status = "{status}"\napproved_by = "Solvik kommune"\napproved_on = {on}\nfrom = {since}{extra}'


def written(language: str, change: tuple[str, str] = ("", ""), **versions: str) -> str:
    """A file with these versions (name to the lines of its status); `change`: what the first says otherwise."""
    head, text = (FOLDER / f"{language}.toml").read_text().split("\n[[text]]\n")
    parts = [
        text.replace(f'version = "{VERSION}"\n{DRAFT}', f'version = "{version}"\n{status}')
        for version, status in versions.items()
    ]
    assert all(part != text for part in parts), "the packaged text is not written as expected"
    if change[0]:
        assert change[0] in parts[0]
        parts[0] = parts[0].replace(*change)
    return "\n[[text]]\n".join([head, *parts])


def folder(place: Path, **files: str) -> Path:
    """A folder with a file for each language."""
    for language, content in files.items():
        (place / f"{language}.toml").write_text(content)
    return place


def packaged() -> dict[str, dict[str, Any]]:
    """The packaged files as they are read."""
    return {file.stem: tomllib.loads(file.read_text()) for file in FOLDER.glob("*.toml")}


def read(today: date = TODAY, *, drafts: bool = False, **files: str) -> Texts:
    """These files, read by the service's own rules."""
    return usable({name: tomllib.loads(content) for name, content in files.items()}, today, drafts=drafts)
