"""Where a secret might have been left: databases, files, and arguments of processes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from mirror.history.database.address import conninfo

_TABLES = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


def of_postgres(url: str) -> Iterator[tuple[str, str]]:
    """Each table of a database as text."""
    with psycopg.connect(conninfo(url)) as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            rows = connection.execute(
                sql.SQL("SELECT row_to_json(t)::text || t::text FROM {} t").format(
                    sql.Identifier(schema, table)
                )
            ).fetchall()
            yield f"table {table}", "\n".join(row[0] for row in rows)


def of_sqlite(file: Path) -> Iterator[tuple[str, str]]:
    """Each table of a database as text."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            yield f"{file.name}, table {name}", "\n".join(map(_row, rows))


def _row(row: tuple[object, ...]) -> str:
    return "\t".join(
        cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell) for cell in row
    )


def of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file below a folder as text."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            yield str(file), file.read_bytes().decode(errors="replace")


@dataclass
class Processes:
    """What the processes that this one started showed: their arguments, and the environment."""

    arguments: set[str] = field(default_factory=set)
    environments: dict[str, str] = field(default_factory=dict)  # by the arguments

    def look(self) -> None:
        """Look at all of them now."""
        for process in psutil.Process(os.getpid()).children(recursive=True):
            folder = Path("/proc") / str(process.pid)
            try:
                line = _text(folder / "cmdline")
                if line:
                    self.arguments.add(line)
                    self.environments[line] = _text(folder / "environ")
            except OSError:  # it has ended, or is another user's
                continue


def _text(file: Path) -> str:
    return file.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


@asynccontextmanager
async def watched_processes() -> AsyncIterator[Processes]:
    """Look at all processes below this one, again and again, within the block."""
    processes = Processes()

    async def watch() -> None:
        while True:
            await asyncio.to_thread(processes.look)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield processes
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
