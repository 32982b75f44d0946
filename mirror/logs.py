"""Logs as JSON, one object a line (MIRROR_LOG=json): of which run, mirror, tag and request.

Everything that a process says on standard error becomes a line: its log, and what else is written
there. Without MIRROR_LOG=json nothing here changes what is shown.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TextIO

from mirror.errors import ConfigError
from mirror.outside_text import readable, redacted

FORMAT: Final = "MIRROR_LOG"
LEVEL: Final = "MIRROR_LOG_LEVEL"
_FORMATS: Final = ("text", "json")
_LEVELS: Final = ("debug", "info", "warning", "error")
_OF_RECORD: Final = {"request": "request", "flow_run_id": "flow_run", "task_run_name": "task"}
"""Attributes of a record, the latter ones Prefect's, and their fields here."""
_TRACE: Final = 20_000  # characters of a traceback

_fields: ContextVar[Mapping[str, str]] = ContextVar("log fields", default={})  # noqa: B039 - read


def check_log_settings() -> None:
    """Raise ConfigError where MIRROR_LOG or MIRROR_LOG_LEVEL has no meaning."""
    for name, known in ((FORMAT, _FORMATS), (LEVEL, _LEVELS)):
        value = os.environ.get(name) or known[0]
        if value.lower() not in known:
            raise ConfigError(f"{name}: {value!r} is none of {', '.join(known)}")


def logs_json() -> bool:
    """Whether this process writes its log as JSON."""
    return os.environ.get(FORMAT, "").lower() == "json"


def log_level() -> str:
    """The level from which messages are written as JSON, as `logging` names it."""
    value = os.environ.get(LEVEL, "").lower()
    return value.upper() if value in _LEVELS else "INFO"


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """Add fields to the messages of the block, and of the tasks that it starts."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def add_log_fields(**fields: str) -> None:
    """The same for the rest of the task that runs."""
    _fields.set({**_fields.get(), **fields})


def start_json_logs() -> None:
    """Write the log, and what else goes to standard error, as JSON. Repeating it does nothing."""
    if isinstance(sys.stderr, JsonLines):
        return
    stream = sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    logging.getLogger("mirror").setLevel(log_level())
    sys.stderr = written = JsonLines(stream, logging.getLogger("mirror.stderr"), logging.WARNING)
    atexit.register(written.end)
    logging.captureWarnings(True)
    sys.excepthook = _crashed
    threading.excepthook = lambda crash: _crashed(
        crash.exc_type, crash.exc_value or crash.exc_type(), crash.exc_traceback
    )


@contextmanager
def output_as_logs(logger: str) -> Iterator[None]:
    """Log the lines that the block prints on standard output, where logs are JSON."""
    if not logs_json():
        yield
        return
    printed = sys.stdout
    sys.stdout = lines = JsonLines(
        sys.__stderr__ or printed, logging.getLogger(logger), logging.INFO
    )
    try:
        yield
    finally:
        lines.end()
        sys.stdout = printed


class JsonFormatter(logging.Formatter):
    """A record as a JSON object in ASCII: time (ISO 8601, UTC), level, logger, message, fields.

    `exception` is the traceback; `flow_run` and `task` are Prefect's. Redacted as all text is.
    """

    def __init__(self, **_: object) -> None:
        """Accepts and ignores the options of other formatters."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": readable(record.getMessage().rstrip("\n")),
            **{name: readable(value) for name, value in _fields.get().items()},
        }
        for name, field in _OF_RECORD.items():
            if value := getattr(record, name, None):
                document.setdefault(field, readable(str(value)))
        if record.exc_info and record.exc_info[1] is not None:
            text = record.exc_text or "".join(traceback.format_exception(record.exc_info[1]))
            document["exception"] = readable(text.rstrip("\n"), _TRACE)
        return json.dumps(document)


class JsonLines(io.TextIOBase):
    """A text stream whose lines are logged, but for those that are JSON objects already.

    A worker passes on what the processes of its flow runs write.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO, logger: logging.Logger, level: int) -> None:
        self._stream = stream
        self._logger = logger
        self._level = level
        self._begun = ""

    def write(self, text: str) -> int:
        """Log the lines that end in `text`."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def end(self) -> None:
        """Log the line that has no end yet."""
        self.write("\n" if self._begun else "")

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """Of the stream below: processes that are started write there."""
        return self._stream.fileno()

    def _log(self, line: str) -> None:
        line = line.rstrip()
        if _is_object(line):  # of the process of a flow run, or a handler's own
            self._stream.write(f"{redacted(line)}\n")
            self._stream.flush()
        elif line:
            self._logger.log(self._level, "%s", line)


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    message = f"{kind.__name__}: {error}"
    logging.getLogger("mirror").critical("%s", message, exc_info=(kind, error, trace))
