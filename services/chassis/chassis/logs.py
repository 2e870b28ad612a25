"""JSON logs on standard output: what happened, ids only, with the trace it belongs to."""

import json
import logging
import sys
from datetime import UTC, datetime

from opentelemetry import trace

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line. An exception is told by its type and place only: its text may hold personal data."""

    def __init__(self, service: str, replica: str) -> None:
        super().__init__()
        self._who = {"service": service, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name,
            "message": _without_traceback(record.getMessage()),
            **self._who,
        }  # fmt: skip
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace"] = f"{span.trace_id:032x}"
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _place(record.exc_info[1])
        return json.dumps(line, default=lambda value: type(value).__name__, ensure_ascii=False)


def _without_traceback(message: str) -> str:
    """uvicorn gives a failed start's whole traceback as its message: keep the error's type, not its text."""
    if not message.startswith("Traceback"):
        return message
    return "Traceback ending in " + message.rstrip().rpartition("\n")[2].partition(":")[0]


def _place(error: BaseException) -> dict[str, object]:
    frames = []
    step = error.__traceback__
    while step is not None:
        frames.append(f"{step.tb_frame.f_globals.get('__name__')}:{step.tb_lineno}")
        step = step.tb_next
    return {"error": type(error).__name__, "at": frames[-4:]}


def setup(service: str, replica: str) -> None:
    """Send every logger through one JSON handler. Access lines and client libraries' chatter are kept out."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service, replica))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    quiet = {"aiokafka": "ERROR", "uvicorn": "WARNING", "alembic": "WARNING", "faststream": "WARNING"}
    for name, level in quiet.items():
        logging.getLogger(name).setLevel(level)
    # Their error lines repeat a connection's trouble many times a second; `ready` and our own line tell it once.
    for name in ("uvicorn.access", "aiokafka.conn"):
        logging.getLogger(name).disabled = True
