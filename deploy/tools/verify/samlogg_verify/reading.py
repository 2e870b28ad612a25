"""Reads a document's JSON piece by piece: bounded in memory, and nothing in it has two meanings."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

CHUNK = 1 << 20
LARGEST_VALUE = 1 << 20
"""Characters of one member or one element of a long list. Nothing honest is near it."""
LARGEST_FILE = 1 << 31
LARGEST_INTEGER = 2**53 - 1
"""RFC 8785 writes numbers as IEEE doubles do: beyond this two integers may be written alike."""

_LONGEST_WORD = 8
"""Of JSON, with its signs: one that the end of the file cuts is wrong at most so far before it."""

Progress = Callable[[int], None]
"""Told now and then how many elements were read."""


class Unreadable(Exception):
    """The file cannot be read as what it should be. `kind` is `truncated` or `malformed`."""

    def __init__(self, text: str, kind: str = "malformed") -> None:
        super().__init__(text)
        self.kind = kind


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(number := int(digits)) > LARGEST_INTEGER:
        raise Unreadable("The file has a number that is too large.")
    return number


def _no_fraction(_: str) -> Any:
    raise Unreadable("The file has a number that is not a whole number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("The file says the same thing twice: a name comes two times in one place.")
    if not "".join(made).isascii():
        raise Unreadable("The file has a name with letters that are not ASCII.")
    return made


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no_fraction, parse_constant=_no_fraction
)


class _Source:
    """The text not yet read. Only a window of it is held."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def take(self, wanted: str) -> None:
        """Step over this character; anything else is refused."""
        found = self.peek()
        if found != wanted:
            raise _broken(found)
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        if not self.peek():
            raise _broken("")
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text.rstrip()) - _LONGEST_WORD
                    raise _broken("" if cut else "?") from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return found
            if len(self._text) - self._at > LARGEST_VALUE:
                raise Unreadable("A part of the file is too large, or is not written as it should be.")
            self._more()

    def _more(self) -> None:
        chunk = self._file.read(CHUNK)
        self._ended = not chunk
        self._text, self._at = self._text[self._at :] + chunk, 0


def _broken(found: str) -> Unreadable:
    if not found:
        return Unreadable("The file ends too early: a part of it is missing.", "truncated")
    return Unreadable("The file is not written as it should be.")


def read(path: Path, long: Mapping[str, Callable[[Any], Any]], progress: Progress | None = None) -> dict[str, Any]:
    """The document's members. Lists named in `long` are taken element by element, each through its function.

    Raises Unreadable, whatever the file holds.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable("The file is too large.")
        with path.open(encoding="utf-8", newline="") as file:
            return _document(_Source(file), long, progress)
    except RecursionError:
        raise Unreadable("The file is nested too deeply.") from None
    except UnicodeError:
        raise Unreadable("The file is not text.") from None
    except OSError as error:
        raise Unreadable(f"The file cannot be opened: {error.strerror or 'unknown reason'}.") from None


def _document(source: _Source, long: Mapping[str, Callable[[Any], Any]], progress: Progress | None) -> dict[str, Any]:
    pairs = []
    source.take("{")
    for _ in _elements(source, "}"):
        name = source.value()
        if not isinstance(name, str):
            raise _broken('"')
        source.take(":")
        taken = long.get(name)
        if taken is not None and source.peek() == "[":
            pairs.append((name, _list(source, taken, progress)))
        else:
            pairs.append((name, source.value()))
    if source.peek():
        raise Unreadable("Something follows after the end of the document.")
    return _object(pairs)


def _list(source: _Source, taken: Callable[[Any], Any], progress: Progress | None) -> list[Any]:
    found = []
    source.take("[")
    for _ in _elements(source, "]"):
        found.append(taken(source.value()))
        if progress is not None and len(found) % 10_000 == 0:
            progress(len(found))
    return found


def _elements(source: _Source, close: str) -> Iterator[None]:
    """Once before each element, which the caller reads; steps over commas and the closing sign."""
    if source.peek() != close:
        yield
        while source.peek() != close:
            source.take(",")
            yield
    source.take(close)
