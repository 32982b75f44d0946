"""`mirror demo` does what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from flows.local.demo.screen import DemoError, Screen

MIRROR = Path(sys.executable).with_name("mirror")


@dataclass(frozen=True)
class Ran:
    """A `mirror demo` that has ended. `folder` is where it kept its files."""

    folder: Path
    code: int
    said: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [MIRROR, "demo"],
        env={**os.environ, "TMPDIR": str(folder)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Ran(folder, done.returncode, done.stdout)


def test_every_step_passes(ran: Ran) -> None:
    assert ran.code == 0, ran.said
    assert "✗" not in ran.said
    assert re.search(r"\d+ checks passed in \d+ s", ran.said)


@pytest.mark.parametrize(
    "shown",
    [
        r"Cold sync",
        r"0 of 7 tags changed, 0 bytes copied",
        r"the exact tag came first: 0\.1\.0-beta\.78 → ",
        r"--full restored it in .*, 0 bytes sent",
        r"the killed run is `abandoned`",
        r"\$ mirror status",
        r"\$ mirror report",
        r"SELECT \* FROM report_success_rate",
        r"Prefect's UI: http://127\.0\.0\.1:\d+",
    ],
)
def test_it_shows(ran: Ran, shown: str) -> None:
    assert re.search(shown, ran.said)


def test_nothing_is_left_behind(ran: Ran) -> None:
    assert list(ran.folder.glob("mirror-demo-*")) == []
    assert [process for process in psutil.process_iter() if started_in(process, ran.folder)] == []


def started_in(process: psutil.Process, folder: Path) -> bool:
    """Whether a process, or one before it, was started by a demo that kept its files there."""
    try:
        return process.environ().get("TMPDIR") == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def test_a_failed_check_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(Console())
    screen.step("A step", "what it shows")
    screen.check(True, "this passes")
    with pytest.raises(DemoError, match="step 1 failed: that does not"):
        screen.check(False, "that does not")
    assert "✗ that does not" in capsys.readouterr().out
