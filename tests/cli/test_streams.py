"""Standard output as a terminal and as a pipe: colours, widths, pagers, encodings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import in_terminal

PROGRAM = """
import sys
from flows.cli.streams import escape_unencodable, paged
from flows.cli.tables import make_table
from rich.text import Text
escape_unencodable()
table = make_table("tag", "status")
for number in range(int(sys.argv[1])):
    table.add_row(f"v{number}", Text("✔ good", "bold green"))
with paged() as console:
    table.print(console)
"""


def shown(rows: int = 1, **environment: str) -> str:
    return in_terminal([sys.executable, "-c", PROGRAM, str(rows)], environment)


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[1;32m✔ good\x1b[0m" in shown()


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_nothing_is_bold_either(variable: dict[str, str]) -> None:
    assert shown(1, **variable) == "tag  status\nv0   ✔ good\n"


@pytest.mark.parametrize("variable", [{}, {"FORCE_COLOR": "1"}, {"COLUMNS": "5"}])
def test_a_pipe_gets_the_same_text_without_colours(variable: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "1"],
        capture_output=True,
        env={**os.environ, **variable},
        check=True,
    )
    assert done.stdout.decode() == "tag  status\nv0   ✔ good\n"


@pytest.mark.parametrize(
    ("encoding", "mark"), [("gbk", "+"), ("latin-1", "+"), ("ascii", "+"), ("utf-8", "✔")]
)
def test_a_mark_that_the_encoding_lacks_is_replaced_by_one_as_wide(
    encoding: str, mark: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "1"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        check=True,
    )
    assert done.stdout.decode(encoding) == f"tag  status\nv0   {mark} good\n"


@pytest.fixture
def pager(tmp_path: Path) -> Path:
    """A pager that puts a line before what it is given."""
    program = tmp_path / "pager"
    program.write_text('#!/bin/sh\necho "paged with LESS=$LESS $1"\nexec cat\n')
    program.chmod(0o755)
    return program


def test_what_is_longer_than_the_terminal_goes_through_the_pager(pager: Path) -> None:
    out = shown(30, PAGER=f"{pager} --option", NO_COLOR="1", LESS="S")
    assert out.startswith("paged with LESS=S --option\ntag  status\nv0   ✔ good\n")
    assert out.endswith("v29  ✔ good\n")
    assert "paged with LESS=FRX" in shown(30, PAGER=str(pager))


@pytest.mark.parametrize(
    ("rows", "changed"), [(5, {}), (30, {"TERM": "dumb"}), (30, {"PAGER": ""})]
)
def test_what_fits_or_is_not_to_be_paged_is_printed(
    pager: Path, rows: int, changed: dict[str, str]
) -> None:
    out = shown(rows, **({"PAGER": str(pager), "NO_COLOR": "1"} | changed))
    assert out.splitlines()[0] == "tag  status"
    assert len(out.splitlines()) == rows + 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_empty_ones(closed: str, tmp_path: Path) -> None:
    code = (
        "import os, sys; from flows.cli.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "import uvloop; loop = uvloop.new_event_loop(); loop.close()\n"
        "print('out'); print('err', file=sys.stderr); assert sys.stdin.read() == ''\n"
        "free = os.open(os.devnull, 0); sys.exit(free)"
    )
    command = f'"$0" -c "$1" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, code], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.returncode > 2, done.stderr  # the next file has none of their numbers
    assert (done.stdout, done.stderr) == (
        b"" if ">&-" in closed.replace("2>&-", "") else b"out\n",
        b"" if "2>&-" in closed else b"err\n",
    )
