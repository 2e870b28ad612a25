"""Lists as files: what a spreadsheet would run is defused, what a browser would read is escaped, all is cut first."""

import csv
import io
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from chassis.http import PAPER
from gateway.handlers.forward import Given, Inner
from gateway.model.paper import BadPaper, cell, defused, written
from tests.gateway.door_parts import CHILD, GUARDIAN, World, given, grant, rig

AT = "2026-01-01T00:00:00.000Z"
COLUMNS = [{"title": "who", "field": "actor.id"}, {"title": "text", "field": "text"}]


def table(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "items": list(items),
        "paper": {"form": "csv", "name": "looks", "language": "nb", "columns": COLUMNS} | more,
    }


def page(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    words = {"title": "Hvem", "before": ["Før"], "after": ["Etter"], "empty": "Ingen", "note": None}
    return table(*items, **({"form": "print"} | words | more))


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


class Read(HTMLParser):
    """Tags in their order, and all that is read aloud."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.heard: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.heard.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_rows_are_what_the_columns_name() -> None:
    made = written(
        table({"actor": {"id": "n"}, "text": 'a "b"\n, c'}, {"actor": None, "text": ["x", "y"]}), whole=False
    )
    assert (made.media_type, made.disposition) == ("text/csv; charset=utf-8", 'attachment; filename="looks.csv"')
    assert rows(made.content) == [["who", "text"], ["n", 'a "b"\n, c'], ["", "x, y"]]
    assert cell({"a": 3}, ("a", "b")) == ""
    several = {"a": [{"b": "x", "c": None}, {"b": "y", "c": "z"}]}
    assert (cell(several, ("a", "b")), cell(several, ("a", "c")), cell({"a": []}, ("a", "b"))) == ("x, y", ", z", "")


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\u00a0-", "\uff1d", "\uff20"])
def test_what_a_spreadsheet_would_run_is_defused(begins: str) -> None:
    made = written(table({"text": f"{begins}HYPERLINK()"}), whole=False)
    assert rows(made.content)[1][1] == f"'{begins}HYPERLINK()"


@drawn(st.text())
def test_no_cell_begins_as_a_formula(text: str) -> None:
    assert not defused(text).lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert text in defused(text)


def test_a_page_has_headings_header_cells_and_its_language() -> None:
    made = written(page({"actor": {"id": "n"}, "text": "first\nsecond"}), whole=False)
    read = Read(made.content)
    assert made.disposition == 'attachment; filename="looks.html"'
    assert read.all("html") == [{"lang": "nb", "dir": "ltr"}]
    assert len(read.all("h1")) == len(read.all("caption")) == len(read.all("main")) == 1
    assert [attrs["scope"] for attrs in read.all("th")] == ["col", "col", "row"]
    assert {"Hvem", "Før", "Etter", "n", "first", "second"} <= set(read.heard)
    assert "Ingen" in Read(written(page(), whole=False).content).heard


@drawn(st.text(alphabet=st.characters(codec="utf-8")))
def test_nothing_in_a_page_is_read_as_markup(text: str) -> None:
    hostile = f"<script>alert(1)</script>{text}<img src=x onerror=y>"
    body = page(
        {"actor": {"id": hostile}, "text": hostile}, title=hostile, before=[hostile], after=[hostile], note=hostile,
        columns=[{"title": hostile, "field": "text"}],
    )  # fmt: skip
    read = Read(written(body, whole=False).content)
    assert {tag for tag, _ in read.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "table", "caption", "thead", "tbody", "tr",
        "th", "td", "br", "pre",
    }  # fmt: skip
    assert all("http" not in (value or "") for _, attrs in read.tags for value in attrs.values())


@pytest.mark.parametrize(
    "broken",
    [
        {"form": "exe"}, {"form": "json", "content": "{}"}, {"name": "../x"}, {"name": 'a"; x='}, {"name": "a\r\nb: c"},
        {"columns": None}, {"columns": [{"title": "a"}]}, {"form": "print", "language": '">'}, {"form": "print"},
    ],
)  # fmt: skip
def test_a_paper_of_another_form_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(BadPaper):
        written(table({"text": "x"}, **broken), whole=False)


def test_a_ready_text_passes_only_for_whom_nothing_is_cut() -> None:
    body = {"paper": {"form": "json", "name": "looks", "content": '{"a":1.0}'}}
    assert written(body, whole=True).content == b'{"a":1.0}'
    with pytest.raises(BadPaper):
        written(body, whole=False)


# -- through the door ----------------------------------------------------------------------------------------------


def look(*categories: str, **more: Any) -> dict[str, Any]:
    return {"id": "l", "kind": "look", "at": AT, "categories": list(categories), "text": f"read {categories}"} | more


def paper_of(body: Mapping[str, Any]) -> Any:
    async def reply(_: Inner) -> Given:
        return given(body, 200, **{"content-type": PAPER})

    return reply


def sees_looks(world: World) -> None:
    world.state(
        CHILD, grant("g1", f"person:{GUARDIAN}", ["looks", "school"]), grant("g2", f"person:{CHILD}", ["looks"])
    )


async def test_a_file_is_written_after_the_cut_with_the_callers_own_handles() -> None:
    async with rig() as door:
        sees_looks(door.world)
        by = {"kind": "person", "id": CHILD}
        columns = [{"title": name, "field": name} for name in ("subject", "actor.id", "categories", "text")]
        door.services.reply = paper_of(
            table(look("school", actor=by, subject=CHILD), look("school", "health"), look("health"), columns=columns)
        )
        told = await door.ask("guardian", "GET", "/subjects/{h}/looks")
        assert told.status == 200
        assert told.headers["content-type"] == "text/csv; charset=utf-8"
        assert told.headers["content-disposition"] == 'attachment; filename="looks.csv"'
        handle = door.handle("guardian")
        assert rows(told.body)[1:] == [[handle, handle, "school", "read ('school',)"], ["", "", "school", ""]]


async def test_a_ready_text_reaches_the_subject_byte_by_byte_and_nobody_else() -> None:
    async with rig() as door:
        sees_looks(door.world)
        content = '{"b":1,"a":[1,2],"categories":["health"]}'
        door.services.reply = paper_of({"paper": {"form": "json", "name": "looks", "content": content}})
        own = await door.ask("youth", "GET", "/subjects/{h}/looks")
        assert (own.status, own.body, own.headers["content-type"]) == (200, content.encode(), "application/json")
        theirs = await door.ask("guardian", "GET", "/subjects/{h}/looks")
        assert (theirs.status, theirs.slug) == (503, "unavailable")
        door.services.reply = paper_of({"paper": {"form": "json", "name": "looks", "content": f'{{"a":"{CHILD}"}}'}})
        assert (await door.ask("youth", "GET", "/subjects/{h}/looks")).status == 503


async def test_what_is_not_called_a_file_is_not_written_as_one() -> None:
    async with rig() as door:
        sees_looks(door.world)

        async def plain(_: Inner) -> Given:
            return given(table(look("school")))

        door.services.reply = plain
        told = await door.ask("guardian", "GET", "/subjects/{h}/looks")
        assert told.headers["content-type"] == "application/json"
        assert "content-disposition" not in told.headers
