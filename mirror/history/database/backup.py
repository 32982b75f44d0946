"""Backup and restore: the history and Prefect's database as one file.

The file is a tar archive of pg_dump's archives and a manifest. A restore is one transaction in each
database: whatever is there is dropped first, and a restore that fails changes nothing. Owners and
privileges are not restored but granted anew, so that a backup of an embedded database fits a server
and the other way round.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from mirror.history.database.address import (
    answering,
    conninfo,
    describe,
    embedded_url,
    owner_url,
    parameters,
)
from mirror.history.database.embedded import Cluster
from mirror.history.database.errors import BackupFailed, EmbeddedFailed
from mirror.history.database.migrate import refuse_unknown, sql_file, upgrade
from mirror.history.database.postgres_programs import (
    least_environment,
    major_version,
    programs,
)
from mirror.history.database.revision import current_revision
from mirror.history.database.roles import GRANTS
from mirror.outcome import utcnow

PREFECT_DATABASE: Final = "prefect"
PREFECT_URL: Final = "PREFECT_API_DATABASE_CONNECTION_URL"
_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
# Everything in the schema that belongs to no extension. Views first: they need the others.
_EMPTY: Final = """
SET lock_timeout = '10s';
SET client_min_messages = warning;
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT 1 AS place, 'VIEW' AS kind, CAST(CAST(oid AS regclass) AS text) AS name, oid
        FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind = 'v'
        UNION ALL
        SELECT 2, 'TABLE', CAST(CAST(oid AS regclass) AS text), oid FROM pg_class
        WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind IN ('r', 'p')
        UNION ALL
        SELECT 3, 'SEQUENCE', CAST(CAST(oid AS regclass) AS text), oid FROM pg_class
        WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind = 'S'
        UNION ALL
        SELECT 4, 'ROUTINE', CAST(CAST(oid AS regprocedure) AS text), oid FROM pg_proc
        WHERE pronamespace = CAST(current_schema() AS regnamespace)
        UNION ALL
        SELECT 5, 'TYPE', CAST(CAST(oid AS regtype) AS text), oid FROM pg_type
        WHERE typnamespace = CAST(current_schema() AS regnamespace) AND typtype IN ('e', 'd')
        ORDER BY place, name
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_depend WHERE objid = item.oid AND deptype = 'e');
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', item.kind, item.name);
    END LOOP;
END
$$;
"""
_SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class SavedDatabase:
    """A database in a backup."""

    name: str  # history or prefect
    place: str  # where it was, or where it was restored to
    bytes: int


def prefect_database_url() -> str | None:
    """Prefect's database, for backups: that of the environment, else the embedded one.

    None where neither exists. Raises BackupFailed for one that is no PostgreSQL.
    """
    if configured := os.environ.get(PREFECT_URL):
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", configured)
        if not url.startswith("postgresql://"):
            raise BackupFailed(f"{PREFECT_URL}: only PostgreSQL is backed up; use its own tools")
        return url
    cluster = Cluster.default()
    if not (cluster.folder / "PG_VERSION").exists():
        return None
    url = embedded_url(PREFECT_DATABASE, cluster)
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        found = "SELECT 1 FROM pg_database WHERE datname = %s"
        return url if connection.execute(found, [PREFECT_DATABASE]).fetchone() else None


def back_up(url: str, prefect: str | None, file: Path) -> tuple[SavedDatabase, ...]:
    """Write the history, and Prefect's database unless None, to a new file that only we may read.

    Both are read as of one moment each, while everything goes on. Raises BackupFailed,
    DatabaseAway.
    """
    if file.exists():
        raise BackupFailed(f"{file}: exists already; remove it, or choose another name")
    url = owner_url(url)
    databases = {"history": url} | ({"prefect": prefect} if prefect else {})
    try:
        with tempfile.TemporaryDirectory(prefix=".mirror-backup-", dir=file.parent) as folder:
            saved = tuple(_dump(name, one, Path(folder)) for name, one in databases.items())
            manifest = {
                "format": _FORMAT,
                "created_at": utcnow().isoformat(),
                "revision": current_revision(url),
                "databases": {one.name: {"place": one.place} for one in saved},
            }
            (Path(folder) / _MANIFEST).write_text(json.dumps(manifest, indent=2))
            archive = Path(folder) / "backup.tar"
            with tarfile.open(archive, "w") as tar:
                for name in (_MANIFEST, *(f"{one.name}.dump" for one in saved)):
                    tar.add(Path(folder) / name, name)
            archive.chmod(0o600)
            archive.replace(file)
    except OSError as error:
        raise BackupFailed(f"{file}: cannot be written ({error.strerror})") from error
    return saved


def restore(
    url: str, prefect: str | None, file: Path, *, force: bool = False
) -> tuple[SavedDatabase, ...]:
    """Put a backup in place of what the databases hold, and migrate it to this program's schema.

    `force`: also while others are connected. Raises BackupFailed, SchemaBehind for a backup of a
    newer program, DatabaseAway.
    """
    url = owner_url(url)
    with tempfile.TemporaryDirectory(prefix="mirror-restore-") as folder:
        manifest = _unpack(file, Path(folder))
        refuse_unknown(url, manifest.get("revision"))
        targets = {"history": url, "prefect": prefect}
        chosen = {name: one for name in manifest["databases"] if (one := targets.get(name))}
        for one in chosen.values():
            _check_unused(one, force)
        restored = tuple(
            _load(name, one, Path(folder) / f"{name}.dump") for name, one in chosen.items()
        )
    upgrade(url)
    with answering(url), psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute(sql_file(GRANTS).encode())
        connection.execute("ANALYZE")
    return restored


def _dump(name: str, url: str, folder: Path) -> SavedDatabase:
    major = _server_major(url)
    target = folder / f"{name}.dump"
    # Locks are nobody's after a restore. Prefect's comments are those of extensions, which only
    # their owner may write.
    options = ["--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data"]
    if name != "history":
        options.append("--no-comments")
    _run(_program("pg_dump", major), url, *options, f"--file={target}")
    return SavedDatabase(name, describe(url), target.stat().st_size)


def _load(name: str, url: str, dump: Path) -> SavedDatabase:
    major = _server_major(url)
    script, empty = dump.with_suffix(".sql"), dump.with_suffix(".empty.sql")
    empty.write_text(_EMPTY)
    _run(
        _program("pg_restore", major),
        None,
        *("--no-owner", "--no-privileges", f"--file={script}", str(dump)),
    )
    _run(
        _program("psql", major),
        url,
        *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"),
        *("--output=/dev/null", f"--file={empty}", f"--file={script}"),
    )
    return SavedDatabase(name, describe(url), dump.stat().st_size)


def _unpack(file: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(file) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BackupFailed(f"{file}: is not a backup of `mirror backup` ({error})") from error
    if manifest.get("format") != _FORMAT:
        raise BackupFailed(
            f"{file}: was written by a newer version of mirror; install that version to restore it"
        )
    return manifest


def _check_unused(url: str, force: bool) -> None:
    with answering(url), psycopg.connect(conninfo(url), autocommit=True) as connection:
        (count,) = connection.execute(_SESSIONS).fetchone() or (0,)
    if count and not force:
        raise BackupFailed(
            f"the database {describe(url)} is in use ({count} sessions): stop `mirror up`, workers,"
            " watchdog and Prefect's server first, or use --force"
        )


def _server_major(url: str) -> int:
    with answering(url), psycopg.connect(conninfo(url)) as connection:
        return connection.info.server_version // 10_000


def _program(name: str, major: int) -> str:
    """A program that can work with a server of this version: the wheel's, else the system's."""
    tried = []
    for path in _candidates(name):
        found = major_version(path)
        if found >= major:
            return path
        tried.append(f"{path} is {found or 'no PostgreSQL'}")
    known = "; ".join(tried) or "none is installed"
    raise BackupFailed(f"the server is PostgreSQL {major}: install {name} {major} ({known})")


def _candidates(name: str) -> Iterator[str]:
    with suppress(EmbeddedFailed):  # no wheel for this system: the system's will do
        yield str(programs() / name)
    if found := shutil.which(name):
        yield found


def _run(program: str, url: str | None, *arguments: str) -> None:
    given: Mapping[str, str] = parameters(url) if url else {}
    address = {name: value for name, value in given.items() if name != "password"}
    environment = least_environment()
    if "password" in given:
        environment["PGPASSWORD"] = given["password"]  # not an argument: all users see those
    where = [f"--dbname={make_conninfo('', **address)}"] if url else []
    done = subprocess.run(
        [program, *where, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment | {"PGCONNECT_TIMEOUT": "10"},
        umask=0o077,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    said = [line for line in said if "ERROR" in line or "FATAL" in line] or said
    if done.returncode or said:
        place = describe(url) if url else "the backup"
        raise BackupFailed(
            f"{Path(program).name} failed for {place} (code {done.returncode}):"
            f" {' | '.join(said[:3])}"
        )
