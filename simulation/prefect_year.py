"""A year of Prefect's database: what its vacuum leaves, at the settings that `mirror up` gives it.

A real server records one run of each flow. Its rows are then copied, back-dated, for every day of a
year as the shipped schedules have it, and after each day the server's own vacuum runs with the
moment of that day. A share of the runs shows the same as all of them, in less time.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import psycopg
from psycopg import sql

from flows.local.ports import address, choose_port
from flows.local.prefect_programs import SERVER_SETTINGS, server_program
from flows.local.sample_registry.images import single
from flows.local.sample_registry.registry import SampleRegistry
from flows.local.supervisor import Supervisor
from flows.orchestration import LOGIN_ENV
from mirror.history import Cluster

# Of three mirrors: every 30 minutes, an hour and 30 minutes; an audit a day for each.
RUNS_A_DAY: Final[Mapping[str, int]] = {
    "sync": 120,
    "audit": 3,
    "report": 96,
    "probe": 96,
    "publish": 144,
    "maintain": 1,
}
_PATIENCE: Final = 900.0  # seconds for the server to start, however busy the machine
_CALL: Final = """
import asyncio, sys
from flows.{flow} import {flow}
state = asyncio.run({flow}({arguments}return_state=True))
sys.exit(None if state.is_completed() else f"{flow}: {{state.message}}")
"""
_IDS: Final[Mapping[str, tuple[str, ...]]] = {  # what a copy of a run has of its own
    "flow_run": ("id", "state_id"),
    "flow_run_state": ("id", "flow_run_id"),
    "task_run": ("id", "flow_run_id", "state_id"),
    "task_run_state": ("id", "task_run_id"),
    "log": ("id", "flow_run_id", "task_run_id"),
    "artifact": ("id", "flow_run_id", "task_run_id"),
    "events": ("id",),
    "event_resources": ("id", "event_id"),
}
_OF_RUN: Final[Mapping[str, str]] = {
    "flow_run": "id = %(run)s",
    "flow_run_state": "flow_run_id = %(run)s",
    "task_run": "flow_run_id = %(run)s",
    "task_run_state": "task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = %(run)s)",
    "log": "flow_run_id = %(run)s",
    "artifact": "flow_run_id = %(run)s",
    "events": "id = ANY(%(events)s)",
    "event_resources": "event_id = ANY(%(events)s)",
}


@dataclass(frozen=True)
class Sizes:
    """Rows and bytes, the latter with indexes."""

    rows: Mapping[str, int]
    total: int


async def prefect_year(folder: Path, days: int, share: float) -> dict[str, Any]:
    """So many days with that share of a day's runs. `well`: whether it stopped growing."""
    os.environ["MIRROR_DATA_DIR"] = str(folder)
    cluster = Cluster(folder / "postgres")
    await _record(folder, cluster)
    try:
        return await asyncio.to_thread(_live, cluster, days, share)
    finally:
        await asyncio.to_thread(cluster.stop)


async def _record(folder: Path, cluster: Cluster) -> None:
    """One real run of each flow, at a real server, which is stopped again."""
    await asyncio.to_thread(cluster.ensure_database, "prefect")
    async with SampleRegistry() as source, SampleRegistry() as target:
        source.store.add_image("team/app", ["1.0", "1.1", "latest"], single("app"))
        config = folder / "mirrors.yaml"
        document = {
            "registries": {host: {"insecure": True} for host in (source.host, target.host)},
            "mirrors": {
                "m": {"source": f"{source.host}/team/app", "target": f"{target.host}/copy/app"}
            },
        }
        config.write_text(json.dumps(document))  # which is YAML
        os.environ["MIRROR_CONFIG"] = str(config)
        os.environ["MIRROR_SITE_DIR"] = str(folder / "site")
        port = choose_port("127.0.0.1", 0, "Prefect's server", "--ui-port")
        login = f"mirror:{secrets.token_hex(16)}"
        program = server_program("127.0.0.1", port, _database(cluster), folder / "prefect", login)
        environment = {
            **os.environ,
            "PREFECT_API_URL": f"{address('127.0.0.1', port)}/api",
            "PREFECT_HOME": str(folder / "prefect"),
            LOGIN_ENV: login,
        }
        async with Supervisor(folder / "logs") as supervisor:
            await supervisor.start(replace(program, startup_seconds=_PATIENCE))
            for flow in ("sync", *RUNS_A_DAY):  # the first sync copies, the second is kept
                arguments = "'m', " if flow in ("sync", "audit") else ""
                code = _CALL.format(flow=flow, arguments=arguments)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", code),
                    env=environment,
                )
                if await process.wait():
                    raise RuntimeError(f"the flow {flow} failed")
            await asyncio.sleep(5)  # task runs and events are written in batches


def _database(cluster: Cluster) -> str:
    return f"postgresql+asyncpg://postgres@/prefect?host={cluster.start()}"


def _live(cluster: Cluster, days: int, share: float) -> dict[str, Any]:
    seen: dict[int, Sizes] = {}
    with psycopg.connect(cluster.conninfo("prefect"), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # rows refer in circles
        templates = _templates(connection)
        copies = _Copies(connection)
        start = datetime.now(UTC) - timedelta(days=days)
        recorded = {name: copies.count(run) for name, (run, _) in templates.items()}
        vacuum = _Vacuum(cluster)
        for day in range(1, days + 1):
            morning = start + timedelta(days=day - 1)
            for name, (run, at) in templates.items():
                a_day = RUNS_A_DAY[name] * share
                if number := int(day * a_day) - int((day - 1) * a_day):
                    copies.make(run, at, morning, number)
            vacuum.run(morning + timedelta(days=1))
            if day % 7 == 0:  # autovacuum's work: its minutes are real ones
                connection.execute("VACUUM")
            if day in (14, 28, days // 4, days // 2, days * 3 // 4, days):
                seen[day] = _sizes(connection)
    first, last = seen[min(seen)], seen[days]
    return {
        "days": days,
        "share": share,
        "rows_of_a_run": recorded,
        "by_day": {
            day: {"rows": dict(sizes.rows), "megabytes": round(sizes.total / 1e6, 1)}
            for day, sizes in seen.items()
        },
        "rows_at_full_share": {
            name: round(number / share) for name, number in last.rows.items() if name in _IDS
        },
        "well": sum(last.rows.values()) <= 1.1 * sum(first.rows.values()),
    }


def _templates(connection: psycopg.Connection) -> dict[str, tuple[Any, datetime]]:
    rows = connection.execute(
        "SELECT DISTINCT ON (flow.name) flow.name, flow_run.id, flow_run.start_time"
        " FROM flow_run JOIN flow ON flow.id = flow_id"
        " WHERE flow_run.state_type = 'COMPLETED' ORDER BY flow.name, flow_run.start_time DESC"
    ).fetchall()
    found = {name: (run, at) for name, run, at in rows if name in RUNS_A_DAY}
    if missing := RUNS_A_DAY.keys() - found.keys():
        raise RuntimeError(f"no completed run of {sorted(missing)}")
    return found


class _Copies:
    """Copies a run with everything that belongs to it, back-dated."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._statements = {table: self._statement(table) for table in _IDS}
        self._made = 0
        self._values: dict[Any, dict[str, Any]] = {}

    def _of(self, run: Any) -> dict[str, Any]:
        """A recorded run and its events: copies of them name the same run."""
        if run not in self._values:
            rows = self._connection.execute(
                "SELECT DISTINCT event_id FROM event_resources WHERE resource_id = %s",
                (f"prefect.flow-run.{run}",),
            ).fetchall()
            self._values[run] = {"run": run, "events": [event for (event,) in rows]}
        return self._values[run]

    def count(self, run: Any) -> dict[str, int]:
        """Rows that a run has, by table."""
        values = self._of(run)
        found = {}
        for table, which in _OF_RUN.items():
            query = f"SELECT count(*) FROM {table} WHERE {which}"
            row = self._connection.execute(query.encode(), values).fetchone()
            found[table] = row[0] if row else 0
        return found

    def make(self, run: Any, at: datetime, morning: datetime, number: int) -> None:
        """So many copies, spread over a day."""
        first, self._made = self._made, self._made + number
        values = {
            **self._of(run),
            "first": first,
            "last": self._made - 1,
            "shift": morning - at,
            "apart": timedelta(days=1) / number,
        }
        with self._connection.transaction():
            for statement in self._statements.values():
                self._connection.execute(statement, values)

    def _statement(self, table: str) -> sql.Composed:
        columns = self._connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
            " AND table_schema = 'public' AND is_generated = 'NEVER'",
            (table,),
        ).fetchall()

        def value(name: str, kind: str) -> sql.Composed:
            column = sql.SQL("t.{}").format(sql.Identifier(name))
            if name in _IDS[table]:
                return sql.SQL("md5({}::text || ':' || n)::uuid").format(column)
            if kind == "timestamp with time zone":
                return sql.SQL("{} + %(shift)s + (n - %(first)s) * %(apart)s").format(column)
            return sql.SQL("{}").format(column)

        return sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM {} t, generate_series(%(first)s::int,"
            " %(last)s::int) n WHERE {}"
        ).format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            sql.SQL(", ").join(value(name, kind) for name, kind in columns),
            sql.Identifier(table),
            sql.SQL(_OF_RUN[table]),
        )


class _Vacuum:
    """The vacuum of Prefect's server, at a moment that is given."""

    def __init__(self, cluster: Cluster) -> None:
        os.environ |= {
            **SERVER_SETTINGS,
            "PREFECT_API_DATABASE_CONNECTION_URL": _database(cluster),
        }
        self._runner = asyncio.Runner()

    def run(self, moment: datetime) -> None:
        """What a day's vacuum does."""
        from prefect.server.services import db_vacuum

        async def everything() -> None:
            from prefect.server.database import provide_database_interface

            db = provide_database_interface()
            for task in (
                db_vacuum.vacuum_old_flow_runs,
                db_vacuum.vacuum_old_events,
                db_vacuum.vacuum_orphaned_logs,
                db_vacuum.vacuum_orphaned_artifacts,
            ):
                await task(db=db)

        with patch.object(db_vacuum, "now", lambda _: moment):
            self._runner.run(everything())


def _sizes(connection: psycopg.Connection) -> Sizes:
    tables: Sequence[tuple[str]] = connection.execute(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' ORDER BY relname"
    ).fetchall()
    rows = {}
    for (table,) in tables:
        counted = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        ).fetchone()
        if counted and counted[0]:
            rows[table] = counted[0]
    total = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return Sizes(rows, total[0] if total else 0)
