"""Logs as JSON: the fields of a line, no secret, and nothing else on standard error."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest

from mirror.environment import BASIC
from mirror.errors import ConfigError
from mirror.logs import JsonFormatter, JsonLines, add_log_fields, check_log_settings, log_fields
from mirror.outside_text import keep_secret


def line(message: str, **more: Any) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"name": "a.b", "levelname": "INFO", "msg": message, "created": 1e9, **more}
    )
    found: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return found


def test_a_line_says_when_who_and_what() -> None:
    assert line("a\nb") == {
        "time": "2001-09-09T01:46:40.000Z",
        "level": "INFO",
        "logger": "a.b",
        "message": "a\nb",
    }


async def test_fields_are_those_of_the_block_and_of_its_tasks() -> None:
    async def of_tag(tag: str) -> dict[str, Any]:
        with log_fields(tag=tag):
            await asyncio.sleep(0)
            return line("copied")

    async def of_run(run: str) -> list[dict[str, Any]]:
        add_log_fields(run=run)
        return list(await asyncio.gather(of_tag("1"), of_tag("2")))

    found = await asyncio.gather(of_run("a"), of_run("b"))
    pairs = [(each["run"], each["tag"]) for run in found for each in run]
    assert pairs == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    assert "run" not in line("outside") and "tag" not in line("outside")


def test_no_line_holds_a_secret_or_commands_a_terminal() -> None:
    keep_secret("hunter2-hunter2")
    error = ValueError("no hunter2-hunter2 \x1b[2J")
    with log_fields(tag="hunter2-hunter2"):
        text = json.dumps(line("hunter2-hunter2 \x9b", exc_info=(ValueError, error, None)))
    assert "hunter2" not in text and "\\u001b" not in text
    assert text.count("[redacted]") == 3


def test_what_is_printed_is_logged_and_what_is_json_passes() -> None:
    written, logged = StringIO(), logging.getLogger("tests.printed")
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logged.addHandler(handler)
    stream = JsonLines(written, logged, logging.WARNING)
    print("plain", file=stream)
    print('{"message": "of a', end="", file=stream)
    print(' child"}', file=stream)
    print("no end", end="", file=stream)
    stream.end()
    messages = [json.loads(each)["message"] for each in written.getvalue().splitlines()]
    assert messages == ["plain", "of a child", "no end"]


@pytest.mark.parametrize("name", ["MIRROR_LOG", "MIRROR_LOG_LEVEL"])
def test_a_setting_without_meaning_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert name in BASIC  # of every process of `mirror up`
    for value in ("", "json" if name == "MIRROR_LOG" else "debug"):
        monkeypatch.setenv(name, value)
        check_log_settings()
    monkeypatch.setenv(name, "xml")
    with pytest.raises(ConfigError, match=f"{name}: 'xml' is none of"):
        check_log_settings()


def test_a_crash_and_a_warning_are_lines_too() -> None:
    program = (
        "import threading, warnings, flows; warnings.warn('old')\n"
        "threading.Thread(target=lambda: [][0]).start()\n"
        "1 / 0"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"MIRROR_LOG": "json"},
        capture_output=True,
        check=False,
    )
    warned, *both = (json.loads(each) for each in done.stderr.splitlines())
    in_thread, crashed = sorted(both, key=lambda each: str(each["message"]))
    assert {warned["level"], in_thread["level"], crashed["level"]} == {"WARNING", "CRITICAL"}
    assert in_thread["message"] == "IndexError: list index out of range"
    assert crashed["message"] == "ZeroDivisionError: division by zero"
    assert crashed["exception"].startswith("Traceback")
