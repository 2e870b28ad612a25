"""Lists as files: rows for a spreadsheet or a page to print, written of what is left after the cut."""

import csv
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,80}\Z")
_LANGUAGE = re.compile(r"\A[a-z]{2,3}\Z")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, or of another cell; full-width signs too."""

_STYLE = (
    "body{font:1rem/1.5 sans-serif;color:#000;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}caption{text-align:start;font-weight:bold;padding:.5rem 0}"
    "th,td{border:1px solid #555;padding:.4rem;text-align:start;vertical-align:top;overflow-wrap:anywhere}"
    "tbody th{font-weight:normal}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #555;padding:.5rem}"
    "@media print{body{margin:0;max-width:none}thead{display:table-header-group}tr{break-inside:avoid}}"
)


class BadPaper(ValueError):
    """An owner's answer that cannot be written as a file. Its text holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file: what it is, what it is called and its bytes."""

    media_type: str
    name: str
    content: bytes

    @property
    def disposition(self) -> str:
        """It is saved, never shown by the door: a page of ours runs nothing here."""
        return f'attachment; filename="{self.name}"'


def written(body: Mapping[str, Any], *, whole: bool) -> Written:
    """The file that `paper` describes, of the `items` beside it (both as consent/handlers/exports.py writes them).

    Fields that were cut away are empty cells. whole: the reader may see all of it; only then does a ready text pass,
    which nobody can cut. BadPaper when it has another form.
    """
    try:
        paper, items = body["paper"], body.get("items", [])
        name = _fitting(_NAME, paper["name"])
        if paper["form"] == "csv":
            return Written("text/csv; charset=utf-8", f"{name}.csv", _rows(paper["columns"], items))
        if paper["form"] == "print":
            return Written("text/html; charset=utf-8", f"{name}.html", _page(paper, items))
        if paper["form"] == "json" and whole:
            return Written("application/json", f"{name}.json", paper["content"].encode())
    except (KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise BadPaper(type(error).__name__) from error
    raise BadPaper("form")


def _fitting(form: re.Pattern[str], text: str) -> str:
    if form.match(text) is None:
        raise BadPaper("name")
    return text


def _rows(columns: Sequence[Mapping[str, str]], items: Sequence[Mapping[str, Any]]) -> bytes:
    """RFC 4180 with every cell quoted, and the mark by which spreadsheets know UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([column["title"] for column in columns])
    places = [_place(column) for column in columns]
    writer.writerows([defused(cell(item, place)) for place in places] for item in items)
    return out.getvalue().encode("utf-8-sig")


def defused(text: str) -> str:
    """The text, with a mark before it when a spreadsheet would run it as a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text


def _place(column: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(column["field"].split("."))


def cell(item: Mapping[str, Any], place: Sequence[str]) -> str:
    """What is held at a place (`actor`, `services`), as text: lists with commas, nothing for what is not there.

    Of a list of objects: what each holds there.
    """
    value: Any = item
    for name in place:
        if type(value) is list:
            value = [one.get(name) for one in value if type(one) is dict]
        else:
            value = value.get(name) if type(value) is dict else None
    if type(value) is str:
        return value
    if value is None:
        return ""
    return ", ".join(["" if one is None else str(one) for one in value]) if type(value) is list else str(value)


def _page(paper: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> bytes:
    """One page that needs nothing else: no script, no picture, no address; headings and header cells for readers."""
    title, language = html.escape(paper["title"]), _fitting(_LANGUAGE, paper["language"])
    direction = "rtl" if paper.get("direction") == "rtl" else "ltr"
    parts = [
        f'<!doctype html>\n<html lang="{language}" dir="{direction}">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>",
        *_paragraphs(paper["before"]),
        *(_table(title, paper["columns"], items) if items else _paragraphs([paper["empty"]])),
        *_paragraphs(paper["after"]),
        *([f"<pre>{html.escape(paper['note'])}</pre>"] if paper["note"] else []),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts).encode()


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [f"<p>{html.escape(text)}</p>" for text in texts]


def _table(title: str, columns: Sequence[Mapping[str, str]], items: Sequence[Mapping[str, Any]]) -> list[str]:
    head = "".join(f'<th scope="col">{html.escape(column["title"])}</th>' for column in columns)
    rows, places = [], [_place(column) for column in columns]
    for item in items:
        first, *others = [html.escape(cell(item, place)).replace("\n", "<br>") for place in places]
        rows.append(f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{one}</td>" for one in others) + "</tr>")
    return [
        f"<table>\n<caption>{title}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>",
        *rows,
        "</tbody>\n</table>",
    ]
