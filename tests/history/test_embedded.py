"""The embedded PostgreSQL starts from nothing, is shared, and survives crashes and restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from mirror.history import EmbeddedFailed, data_dir, database_url, is_embedded, prepare, stop
from mirror.history.embedded import Cluster

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of this test alone."""
    own = Cluster(tmp_path / "data" / "postgres")
    yield own
    own.stop()


def postmaster(cluster: Cluster) -> psutil.Process:
    return psutil.Process(int((cluster.folder / "postmaster.pid").read_text().split()[0]))


def wait_for_the_end(processes: list[psutil.Process]) -> None:
    def over(process: psutil.Process) -> bool:
        try:
            return bool(process.status() == psutil.STATUS_ZOMBIE)  # for its parent to look after
        except psutil.NoSuchProcess:
            return True

    deadline = time.monotonic() + 20
    while not all(map(over, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answer(cluster: Cluster, database: str = "postgres") -> str:
    with psycopg.connect(cluster.conninfo(database)) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0])


def test_it_starts_from_an_empty_disk_stays_and_stops(own: Cluster) -> None:
    assert own.socket_dir() is None
    assert answer(own).startswith("18.")
    first = postmaster(own)
    assert own.start() == own.folder
    assert postmaster(own) == first
    assert own.stop() is True
    assert own.socket_dir() is None
    assert not (own.folder / "postmaster.pid").exists()
    assert own.stop() is False


def test_nobody_else_may_enter_its_folder(own: Cluster) -> None:
    own.start()
    assert own.folder.stat().st_mode & 0o077 == 0
    with psycopg.connect(own.conninfo("postgres")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_a_path_too_long_for_a_socket_gets_a_short_one(deep_folder: Path) -> None:
    cluster = Cluster(deep_folder / "postgres")
    try:
        folder = cluster.start()
        assert folder != cluster.folder
        assert folder.stat().st_mode & 0o077 == 0
        assert answer(cluster).startswith("18.")
    finally:
        cluster.stop()
    assert not folder.exists()


def test_many_processes_that_start_it_at_once_share_one(own: Cluster) -> None:
    program = (
        "from pathlib import Path; from mirror.history.embedded import Cluster;"
        f" c = Cluster(Path({str(own.folder)!r})); c.ensure_database('shared'); print(c.start())"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in racing]
    assert said == [str(own.folder)] * 3
    assert answer(own, "shared").startswith("18.")


def test_it_recovers_after_a_kill(own: Cluster) -> None:
    own.ensure_database("kept")
    killed = postmaster(own)
    children = killed.children()
    killed.send_signal(signal.SIGKILL)
    wait_for_the_end([killed, *children])
    assert (own.folder / "postmaster.pid").exists()
    assert answer(own, "kept").startswith("18.")


def test_a_pid_file_whose_number_is_another_process_now_does_not_stop_it(own: Cluster) -> None:
    own.ensure_database("kept")
    pid_file = own.folder / "postmaster.pid"
    text = pid_file.read_text()
    owner = pid_file.stat()
    own.stop()
    # As after a restart of the machine: the file is there, its number belongs to somebody else.
    pid_file.write_text(text.replace(text.split("\n")[0], str(os.getpid()), 1))
    if os.geteuid() == 0:
        os.chown(pid_file, owner.st_uid, owner.st_gid)
    assert answer(own, "kept").startswith("18.")
    assert postmaster(own).pid != os.getpid()


def test_a_start_that_was_killed_half_way_leaves_nothing_in_the_way(own: Cluster) -> None:
    leftover = own.folder.parent / ".postgres.new-killed"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18")
    assert answer(own).startswith("18.")
    assert not leftover.exists()


def test_data_of_another_release_is_left_alone_and_named(own: Cluster) -> None:
    own.start()
    own.stop()
    (own.folder / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedFailed, match="created by PostgreSQL 17"):
        own.start()
    (own.folder / "PG_VERSION").write_text("18\n")


def test_the_record_is_there_without_any_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRROR_DATABASE_URL", raising=False)
    monkeypatch.setenv("MIRROR_DATA_DIR", str(tmp_path / "mine"))
    try:
        url = database_url()
        prepare(url)  # migrates by itself
        assert is_embedded(url)
        assert data_dir() == tmp_path / "mine"
        assert not is_embedded("postgresql://mirror@db.example.com/mirror")
    finally:
        assert stop() is True
