"""One `mirror up` a data folder, and nothing left of one that was killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.local.data_folder import PidFile, locked_data_folder, pid_file
from mirror.errors import MirrorError


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    started = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )
    yield psutil.Process(started.pid)
    started.kill()
    started.wait()


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with locked_data_folder(tmp_path / "data") as left:
        assert left == 0
        with (
            pytest.raises(MirrorError, match="another `mirror up` uses"),
            locked_data_folder(tmp_path / "data"),
        ):
            pass
    with locked_data_folder(tmp_path / "data"):
        pass


def test_what_a_killed_one_left_is_ended(tmp_path: Path, sleeper: psutil.Process) -> None:
    pid_file(tmp_path).add(sleeper.pid)
    with locked_data_folder(tmp_path) as left:
        assert left == 1
        assert not sleeper.is_running()
    with locked_data_folder(tmp_path) as left:
        assert left == 0


def test_a_process_that_was_given_the_same_id_is_left_alone(
    tmp_path: Path, sleeper: psutil.Process
) -> None:
    pids = pid_file(tmp_path)
    pids.file.write_text(f"{sleeper.pid} {sleeper.create_time() - 3600}\n")
    assert pids.kill_all() == 0
    assert sleeper.is_running()


def test_one_that_has_ended_is_no_leftover(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    pids = PidFile(tmp_path / "pids")
    pids.add(ended.pid)
    ended.wait()
    assert pids.kill_all() == 0


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MirrorError, match="set MIRROR_DATA_DIR"),
        locked_data_folder(tmp_path / "file" / "data"),
    ):
        pass
