"""Log lines are JSON with ids, and never hold the text of an exception."""

import json
import logging
import sys

from chassis.logs import JsonLines

SECRET = "Kari Nordmann 12345678910"


def line(record: logging.LogRecord) -> dict[str, object]:
    told = JsonLines("test", "0").format(record)
    assert "\n" not in told
    assert "Kari" not in told
    found: dict[str, object] = json.loads(told)
    return found


def test_an_exception_is_told_by_its_type_and_place() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed", None, sys.exc_info())
    told = line(record)
    assert (told["message"], told["error"], told["service"]) == ("it failed", "ValueError", "test")
    assert str(told["at"]).startswith("['")


def test_a_traceback_given_as_a_message_keeps_only_its_type() -> None:
    text = f"Traceback (most recent call last):\n  File ...\nchassis.Trouble: {SECRET}\n"
    told = line(logging.LogRecord("uvicorn.error", logging.ERROR, "f", 1, text, None, None))
    assert told["message"] == "Traceback ending in chassis.Trouble"


def test_an_extra_that_is_no_json_is_told_by_its_type() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "m", None, None)
    record.thing = type("Person", (), {"__repr__": lambda _: SECRET})()
    assert line(record)["thing"] == "Person"
