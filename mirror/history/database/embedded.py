"""PostgreSQL from a wheel, for users without a server: started at its first use.

The programs of the wheel are run directly (postgres_programs.py): the wheel's own
manager, which importing the package would set up, trusts stale pid files, leaves half a cluster
behind when it is killed, and adds accounts to the system.

One cluster lives in `<data folder>/postgres`. It listens on a unix socket only, in a folder that
only its owner may enter, and keeps running between commands: starting costs 0.6 s, and `mirror`
processes share it. `stop` ends it (`mirror up`, `mirror demo`, tests). A file lock, which the
kernel frees when its holder dies, lets one process at a time start or stop it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import psutil
import psycopg
from psycopg import sql

from mirror.history.database.errors import EmbeddedFailed
from mirror.history.database.postgres_programs import (
    account_for,
    make_private_folder,
    open_folder,
    real_folder,
    run_program,
    why_not_started,
)

SUPERUSER = "postgres"
_PORT = 5432  # names the socket; no TCP port is opened
_LONGEST_SOCKET = 103  # sun_path holds 104 bytes on macOS, 108 on Linux, with the final zero
_START_SECONDS = 60
# After a crash everything is flushed first: two thousand files one by one take longer than the rest
# of the recovery, on a busy disk half a minute. Given at each start, so that old clusters have it.
_RECOVERY = "-c recovery_init_sync_method=syncfs" if sys.platform == "linux" else ""
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",  # compiling costs more than every report here takes
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",  # a file a weekday, written over a week later
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "wal_compression": "on",
}


def data_dir() -> Path:
    """MIRROR_DATA_DIR, or the user's data folder. Absolute; not created here."""
    configured = os.environ.get("MIRROR_DATA_DIR")
    folder = Path(configured) if configured else platformdirs.user_data_path("hagicode-mirror")
    return folder.expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Cluster:
    """One embedded PostgreSQL, by its folder."""

    folder: Path  # PGDATA

    @classmethod
    def default(cls) -> Cluster:
        """The cluster of this user: `<data folder>/postgres`."""
        return cls(data_dir() / "postgres")

    def start(self) -> Path:
        """Start it unless it runs; creates the cluster on an empty disk.

        Returns the folder of its socket. Raises EmbeddedFailed. Takes about 1 s the first time,
        0.3 s to start again, and less than 1 ms when it runs already.
        """
        if running := self.socket_dir():
            return running
        self._make_parent()
        with self._lock():
            if running := self._settled():
                return running
            if not (self.folder / "PG_VERSION").exists():
                self._create()
            self._check_version()
            self._launch()
            if running := self.socket_dir():
                return running
        raise EmbeddedFailed(
            f"{self.folder}: PostgreSQL has started but does not answer; see its log/"
        )

    def stop(self) -> bool:
        """Stop it cleanly: open transactions are rolled back, data is flushed.

        Returns False when it was not running. Raises EmbeddedFailed.
        """
        if not self.folder.exists():
            return False
        with self._lock():
            running, state = self._settled(), self._postmaster()
            if running is None or state is None:
                return False
            os.kill(state.pid, signal.SIGINT)  # a fast shutdown, as pg_ctl asks for it
            self._wait_until_gone(state.pid)
            if running != self.folder:
                running.rmdir()
        return True

    def kill(self) -> None:
        """Kill a server that does not answer, with all of its processes; `start` recovers it."""
        state = self._postmaster()
        if state is None or not _is_postgres(state.pid):
            return
        with suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(state.pid)
            processes = [postmaster, *postmaster.children(recursive=True)]
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=_START_SECONDS)

    def socket_dir(self) -> Path | None:
        """The folder of the socket if the server is ready, else None. Never starts anything."""
        state = self._postmaster()
        if state is None or state.status != "ready":
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(state.socket_dir / f".s.PGSQL.{_PORT}"))
            except OSError:  # a pid file that outlived its server
                return None
        return state.socket_dir

    def conninfo(self, database: str, user: str = SUPERUSER) -> str:
        """A libpq connection string; starts the server if necessary."""
        return self.conninfo_at(self.start(), database, user)

    @staticmethod
    def conninfo_at(socket_dir: Path, database: str, user: str = SUPERUSER) -> str:
        """A libpq connection string for the server of that socket; starts nothing."""
        return psycopg.conninfo.make_conninfo(
            host=str(socket_dir), port=_PORT, dbname=database, user=user
        )

    def ensure_database(self, name: str) -> None:
        """Create a database of that name if missing. Safe to call concurrently."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            found = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(found, [name]).fetchone():
                return
            connection.execute("SELECT pg_advisory_lock(hashtextextended('create database', 0))")
            if not connection.execute(found, [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def ensure_role(self, name: str) -> None:
        """Create a role that may log in, if missing. Safe to call concurrently."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            found = "SELECT 1 FROM pg_roles WHERE rolname = %s"
            connection.execute("SELECT pg_advisory_lock(hashtextextended('create role', 0))")
            if not connection.execute(found, [name]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        path = self.folder.parent / ".postgres.lock"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_parent(self) -> None:
        try:
            make_private_folder(self.folder.parent)
        except OSError as error:
            raise EmbeddedFailed(
                f"{self.folder.parent}: cannot be created ({error.strerror});"
                " set MIRROR_DATA_DIR to a writable folder"
            ) from error

    def _postmaster(self) -> _Postmaster | None:
        """What postmaster.pid says; None without one, or while it is incomplete.

        PostgreSQL 18, src/include/utils/pidfile.h: pid, data folder, start, port, socket folder,
        listen address, shared memory, status.
        """
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(lines) < 8:
            return _Postmaster(int(lines[0]), Path(), "starting") if lines else None
        return _Postmaster(int(lines[0]), real_folder(lines[4], self.folder), lines[7].strip())

    def _settled(self) -> Path | None:
        """Under the lock: the socket folder if the server runs, None if there is no server.

        Waits for a server that is starting or stopping. A pid file whose process is not PostgreSQL
        (the machine restarted and reused the number) is removed, since PostgreSQL itself would take
        it for a running server and refuse to start.
        """
        deadline = time.monotonic() + _START_SECONDS
        while state := self._postmaster():
            if running := self.socket_dir():
                return running
            if not _is_postgres(state.pid):
                (self.folder / "postmaster.pid").unlink(missing_ok=True)
                return None
            if time.monotonic() > deadline:
                raise EmbeddedFailed(
                    f"{self.folder}: PostgreSQL (process {state.pid}) is {state.status} and does"
                    " not answer; see its log/, or kill that process"
                )
            time.sleep(0.02)
        return None

    def _launch(self) -> None:
        account = account_for(self.folder)
        socket_dir = self._make_socket_dir()
        with open_folder(self.folder) as folder:
            data = folder.seen_by(account)
            sockets = data if socket_dir == self.folder else str(socket_dir)
            try:
                run_program(
                    "pg_ctl",
                    f"--pgdata={data}",
                    f"--log={data}/start.log",
                    f"--timeout={_START_SECONDS}",
                    f"--options=-k {shlex.quote(sockets)} -p {_PORT} {_RECOVERY}",
                    "--wait",
                    "start",
                    account=account,
                    folders=(folder,),
                )
            except EmbeddedFailed as error:
                raise EmbeddedFailed(
                    f"{self.folder}: PostgreSQL does not start: {why_not_started(self.folder)}"
                ) from error

    def _wait_until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._postmaster() is not None:
            if time.monotonic() > deadline:
                raise EmbeddedFailed(
                    f"{self.folder}: PostgreSQL (process {pid}) does not stop; see its log/"
                )
            time.sleep(0.02)

    def _create(self) -> None:
        """Run initdb in a sibling folder and rename it, so that a kill leaves no half cluster."""
        for leftover in self.folder.parent.glob(f".{self.folder.name}.new-*"):
            shutil.rmtree(leftover)
        fresh = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.new-", dir=self.folder.parent))
        account = account_for(self.folder)
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with open_folder(fresh) as folder:
            folder.give_to(account)
            run_program(
                "initdb",
                "-D",
                folder.seen_by(account),
                f"--username={SUPERUSER}",
                "--auth=trust",  # the folder's permissions keep others out
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                *settings,
                account=account,
                folders=(folder,),
            )
        fresh.rename(self.folder)

    def _check_version(self) -> None:
        made_by = (self.folder / "PG_VERSION").read_text().strip()
        here = run_program("postgres", "--version", account=None).split()[-1].split(".")[0]
        if made_by != here:
            raise EmbeddedFailed(
                f"{self.folder}: created by PostgreSQL {made_by}, the embedded one is {here};"
                " install the release that wrote it, run `mirror backup`, and `mirror restore` here"
            )

    def _make_socket_dir(self) -> Path:
        """The cluster's folder, or a short one in /tmp if that path is too long for a socket."""
        if len(os.fsencode(self.folder / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET:
            return self.folder
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        short = Path("/tmp") / f"mirror-{os.geteuid()}-{name}"  # noqa: S108 - mode and owner below
        short.mkdir(mode=0o700, exist_ok=True)
        account = account_for(self.folder)
        with open_folder(short) as folder:
            if account is not None and folder.is_private(os.geteuid()):
                folder.give_to(account)
            if not folder.is_private(account.pw_uid if account else os.geteuid()):
                raise EmbeddedFailed(
                    f"{short}: is not a private folder of this user: remove it,"
                    " or set MIRROR_DATA_DIR to a shorter path"
                )
        return short


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    socket_dir: Path
    status: str


def _is_postgres(pid: int) -> bool:
    try:
        return psutil.Process(pid).name().startswith("postgres")
    except psutil.NoSuchProcess:
        return False
