"""Time reports and the writes of a run on thirteen months of history.

    python -m bench.record                     10 million tag records, 2 million runs; minutes
    python -m bench.record --tag-records 10000 --runs 2000 --tags 100

Writes bench/RECORD.md. The history is in a separate embedded PostgreSQL with default settings, in a
temporary folder (or --folder, which is kept).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
import sqlalchemy as sa

from bench.record_fill import Size, fill
from bench.record_queries import ready_queries
from bench.record_site import settings_of, time_site
from bench.record_writes import time_writes
from bench.stopwatch import Stopwatch, Timing
from mirror.alerts.rules import find
from mirror.config.alerting import AlertRule
from mirror.history import reports
from mirror.history.database import migrate
from mirror.history.database.address import embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.database.engine import create_engine
from mirror.history.maintain import close_days, maintain_history
from mirror.history.openmetrics import read_openmetrics
from mirror.outcome import utcnow

REPORT_MS = 200
WRITES_MS = 20
SITE_MS = 10_000
VIEWS = (
    *("success_rate", "delay", "freshness", "recent_runs", "quota", "traffic"),
    *("pull_speed", "pull_failures", "adoption"),
    *("tags_behind", "versions_behind", "alerts", "audit_findings", "locks"),
)
BY_DAY = ("success_rate", "delay", "failures", "traffic", "pull_speed", "pull_failures", "adoption")
FEW_ROWS = ("freshness", "quota", "tags_behind", "versions_behind", "alerts", "locks")
NOW = ("freshness", "recent_runs", "tags_behind", "versions_behind", "alerts", "audit_findings")


WHOLE_UP_TO = 50  # mirrors: every day of each is a figure that people look at
ONE = "mirror = 'mirror-01'"


def time_views(engine: sa.Engine, timed: Stopwatch, *, whole: bool) -> Iterator[Timing]:
    """The views as people ask for them, and the ready queries; `whole`: every day of all too."""
    with engine.connect() as connection:

        def query(text: str) -> Callable[[], int]:
            return lambda: len(connection.execute(sa.text(text)).all())

        for view in VIEWS if whole else FEW_ROWS:
            yield timed(f"report_{view}, whole", query(f"SELECT * FROM report_{view}"))
        for view in BY_DAY:
            month = f"SELECT * FROM report_{view} WHERE day > current_date - 30"
            yield timed(f"report_{view}, 30 days", query(month))
            yield timed(f"report_{view}, 30 days of one", query(f"{month} AND {ONE}"))
        for view in NOW:
            yield timed(f"report_{view}, of one", query(f"SELECT * FROM report_{view} WHERE {ONE}"))
        of_a_tag = "SELECT * FROM report_tag_history WHERE mirror = 'mirror-01' AND tag = "
        yield timed("report_tag_history, latest", query(of_a_tag + "'latest'"))
        yield timed("report_tag_history, a release", query(of_a_tag + "'1.1790000.2'"))
        for name, text in ready_queries().items():
            yield timed(f"query {name}", query(text))


def time_reports(engine: sa.Engine, timed: Stopwatch) -> Iterator[Timing]:
    """What the commands, the site and Prometheus ask for."""
    yield timed("mirror status", lambda: len(reports.read_status(engine)))
    windows = {"7 days": 7, "30 days": 30, "90 days": 90, "a year": 365}
    for name, days in windows.items():
        since = timedelta(days=days)
        yield timed(
            f"mirror report, {name}",
            lambda since=since: len(reports.read_report(engine, since).mirrors),  # type: ignore[misc]  # a default binds it now
        )
    week = timedelta(days=7)
    one = "mirror-01"
    yield timed(
        "mirror report, one mirror, 7 days", lambda: bool(reports.read_report(engine, week, one))
    )
    yield timed(
        "mirror report, one mirror, all", lambda: bool(reports.read_report(engine, None, one))
    )
    yield timed("mirror report, all", lambda: len(reports.read_report(engine, None).mirrors))
    yield timed("OpenMetrics", lambda: len(read_openmetrics(engine).splitlines()))


def time_rules(engine: sa.Engine, timed: Stopwatch, mirrors: int) -> Iterator[Timing]:
    """Every rule of the alerts, for all mirrors."""
    settings = settings_of(mirrors)
    with engine.connect() as connection:

        def findings(rule: AlertRule) -> int:
            return len(find(connection, settings, utcnow(), [rule]))

        for rule in AlertRule:
            yield timed(f"rule {rule.value}", partial(findings, rule))


def server_process(cluster: Cluster) -> psutil.Process:
    """The postmaster, whose children serve the connections."""
    return psutil.Process(int((cluster.folder / "postmaster.pid").read_text().split()[0]))


def table(timings: list[Timing], goal: float | None) -> str:
    """Timings as Markdown; a goal is met when the median round was within it (None: no goal)."""
    lines = ["| | rows | median ms | slowest ms | CPU ms | |", "|---|--:|--:|--:|--:|---|"]
    for timing in timings:
        rows = "" if timing.rows is None else f"{timing.rows:,}"
        cpu = "" if timing.cpu is None else f"{timing.cpu:.0f}"
        verdict = ""
        if goal is not None:
            verdict = "met" if timing.median < goal else "missed"
        lines.append(
            f"| {timing.what} | {rows} | {timing.median:.1f} | {timing.slowest:.1f} | {cpu} |"
            f" {verdict} |"
        )
    return "\n".join(lines)


def sizes(engine: sa.Engine) -> str:
    """How many rows and bytes the tables have."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("""
                SELECT parent.relname, sum(greatest(part.reltuples, 0))::bigint,
                       sum(pg_total_relation_size(part.oid))::bigint, count(*)
                FROM pg_class parent
                CROSS JOIN LATERAL pg_partition_tree(parent.oid) tree
                JOIN pg_class part ON part.oid = tree.relid AND tree.isleaf
                WHERE parent.relnamespace = 'public'::regnamespace AND NOT parent.relispartition
                  AND parent.relkind IN ('r', 'p')
                GROUP BY 1 HAVING sum(part.reltuples) > 0 ORDER BY 3 DESC
            """)
        ).all()
    lines = ["| table | rows | MB with indexes | partitions |", "|---|--:|--:|--:|"]
    lines += [
        f"| {name} | {count:,} | {size / 1e6:,.0f} | {parts} |" for name, count, size, parts in rows
    ]
    return "\n".join(lines)


def run(size: Size, folder: Path, rounds: int) -> str:
    """Fill if the folder is empty, time everything, and give the report as Markdown."""
    cluster = Cluster(folder / "postgres")
    cluster.ensure_database("bench")
    url = embedded_url("bench", cluster)
    try:
        now = utcnow()
        engine = create_engine(url)
        begin = time.perf_counter()
        migrate.upgrade(url)
        with engine.connect() as connection:
            empty = not connection.scalar(sa.text("SELECT EXISTS (SELECT FROM mirror)"))
        if empty:
            with psycopg.connect(cluster.conninfo("bench"), autocommit=True) as connection:
                connection.execute("SET synchronous_commit = off")
                fill(connection, size, now)
                filled = time.perf_counter() - begin
                connection.execute("VACUUM (ANALYZE)")
            begin = time.perf_counter()
            with engine.begin() as connection:
                close_days(connection, now)
            rolled_up = time.perf_counter() - begin
            print(f"filled in {filled:.0f} s, rolled up {size.days} days in {rolled_up:.0f} s")
        with engine.begin() as connection:
            # The worst hour: yesterday is not closed yet, today is nearly over.
            yesterday = (now - timedelta(days=1)).strftime("%Y-%m-%d")
            again = f"SELECT roll_up(timestamptz '{yesterday}' - interval '1 day', '{yesterday}')"
            connection.execute(sa.text(again))
        stopwatch = Stopwatch(server_process(cluster), rounds)
        views = list(time_views(engine, stopwatch, whole=size.mirrors <= WHOLE_UP_TO))
        asked = list(time_reports(engine, stopwatch))
        rules = list(time_rules(engine, stopwatch, size.mirrors))
        site = list(time_site(engine, replace(stopwatch, rounds=min(rounds, 3))))
        writes = asyncio.run(time_writes(url, 10 * rounds, size))
        begin = time.perf_counter()
        maintain_history(engine, utcnow())
        maintained = time.perf_counter() - begin
        text = "\n\n".join(
            [
                f"## Sizes\n\n{sizes(engine)}",
                f"## Views and ready queries (goal: under {REPORT_MS} ms)",
                table(views, REPORT_MS),
                f"## Reports, each a dozen queries (goal: under {REPORT_MS} ms)",
                table(asked, REPORT_MS),
                f"## Rules of the alerts (goal: under {REPORT_MS} ms)\n\n{table(rules, REPORT_MS)}",
                "## The public site, a mirror of it (goal: under 10 s for 2,000 tags)",
                f"{table(site[:1], SITE_MS)}\n\nWithout a goal:\n\n{table(site[1:], None)}",
                f"## What a run writes (goal: under {WRITES_MS} ms)\n\n{table(writes, WRITES_MS)}",
                f"The daily maintenance of a day: {maintained:.1f} s.",
            ]
        )
        engine.dispose()
    finally:
        cluster.stop()
    return text


def main(arguments: list[str] | None = None) -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.record", description=__doc__)
    default = Size()
    parser.add_argument("--tag-records", type=int, default=default.tag_records)
    parser.add_argument("--runs", type=int, default=default.runs)
    parser.add_argument("--tags", type=int, default=default.tags)
    parser.add_argument("--blobs", type=int, default=default.blobs)
    parser.add_argument("--probe-minutes", type=int, default=default.probe_minutes)
    parser.add_argument("--days", type=int, default=default.days)
    parser.add_argument("--mirrors", type=int, default=default.mirrors)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="keep the history here; filled if empty")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RECORD.md"))
    chosen = parser.parse_args(arguments)
    size = replace(
        default,
        tag_records=chosen.tag_records,
        runs=chosen.runs,
        tags=chosen.tags,
        blobs=chosen.blobs,
        probe_minutes=chosen.probe_minutes,
        mirrors=chosen.mirrors,
        days=chosen.days,
    )
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench-record-") as temporary:
        text = run(size, chosen.folder or Path(temporary), chosen.rounds)
    head = (
        "# The history at size\n\n"
        f"`python -m bench.record`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, on"
        f" {platform.machine()}, Python {platform.python_version()}, the embedded PostgreSQL with"
        f" its default settings. {size.days} days of {size.mirrors} mirrors; yesterday and today"
        " are not closed, as in the worst hour of a day. Slowest includes the first round, with"
        f" cold caches. Load average {load[0]:.1f} at the start and {os.getloadavg()[0]:.1f} at the"
        f" end on {os.cpu_count()} processors: the clock counts what others do, CPU does not.\n\n"
    )
    chosen.out.write_text(head + text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
