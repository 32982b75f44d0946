"""The filled history is the same whatever plan the database chooses."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from bench.record_fill import Size, fill
from mirror.history.database.address import conninfo

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
SIZE = Size(days=40, mirrors=3, runs=720, tag_records=720, tags=3, blobs=1, probe_minutes=1_440)
PLANS = ("hashjoin", "material", "seqscan")  # each changed the rows once
EMPTY = """
    TRUNCATE mirror, repository, sync_run, tag_sync, probe, watch_run, quota_reading, pull_count
    RESTART IDENTITY CASCADE
"""
# Rows, and one digest of them; the keys of runs are random in part.
ROWS = """
    SELECT count(*), md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM (
        SELECT row(mirror_id, started_at, ended_at, status, seconds_total) FROM sync_run
        UNION ALL
        SELECT row(mirror_id, tag, status, started_at, ended_at, delay_seconds) FROM tag_sync
        UNION ALL
        SELECT row(mirror_id, probed_at, side, well, seconds) FROM probe
    ) rows (row)
"""


def filled(url: str, *, without: str | None = None) -> tuple[int, str]:
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        if without:
            connection.execute(f"SET enable_{without} = off")
        connection.execute(EMPTY)
        fill(connection, SIZE, NOW)
        found = connection.execute(ROWS).fetchone()
    assert found is not None
    return found[0], found[1]


def test_the_same_size_gives_the_same_rows(url: str) -> None:
    expected = filled(url)
    assert expected[0] > 700
    for plan in PLANS:
        assert filled(url, without=plan) == expected, plan
