"""The ready queries of docs/reports.md run, and it lists every view with its columns' meanings."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from bench.record_queries import DOCS, ready_queries
from mirror.history import PostgresRecorder
from tests.history.made_history import make_counts, make_history, make_pulls

TEXT = DOCS.read_text(encoding="utf-8")
QUERIES = ready_queries()
MAY_BE_EMPTY = (
    "What is not in sync now",
    "Which digests has `latest` had",
    "Which tags are behind",
    "Which alerts are open",
    "What have audits found",
    "Who holds a lock",
)
VIEWS = (
    "report_success_rate",
    "report_delay",
    "report_failures",
    "report_freshness",
    "report_recent_runs",
    "report_tag_history",
    "report_quota",
    "report_traffic",
    "report_pull_speed",
    "report_pull_failures",
    "report_adoption",
    "report_tags_behind",
    "report_versions_behind",
    "report_alerts",
    "report_audit_findings",
    "report_locks",
    "report_hook_events",
)


@pytest.fixture
async def history(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    """The made history, moved so that its last day is today."""
    await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)
    shift = "(date_trunc('day', now(), 'UTC') - timestamptz '2026-11-22')"
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT make_partitions(now() - interval '3 days', now())"))
        for statement in (
            f"UPDATE sync_run SET started_at = started_at + {shift}, ended_at = ended_at + {shift}",
            f"UPDATE tag_sync SET run_started_at = run_started_at + {shift},"
            f" started_at = started_at + {shift}, ended_at = ended_at + {shift},"
            f" available_at = available_at + {shift}",
            f"UPDATE probe SET probed_at = probed_at + {shift}",
            f"UPDATE quota_reading SET read_at = read_at + {shift}",
        ):
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            connection.execute(sa.text(statement))


@pytest.mark.parametrize("question", QUERIES)
async def test_every_ready_query_runs(history: None, engine: sa.Engine, question: str) -> None:
    with engine.connect() as connection:
        rows = connection.execute(sa.text(QUERIES[question])).all()
    assert rows or question.startswith(MAY_BE_EMPTY), question


def test_there_are_ten_and_each_says_what_it_answers() -> None:
    assert len(QUERIES) >= 10
    assert len(QUERIES) == TEXT.count("```sql\n"), "each query has a question as its title"


def test_every_view_and_every_column_says_what_it_means(engine: sa.Engine) -> None:
    query = sa.text("""
        SELECT relname, attname, col_description(pg_class.oid, attnum),
               obj_description(pg_class.oid, 'pg_class')
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
    """)
    with engine.connect() as connection:
        columns = connection.execute(query).all()
    assert {view for view, *_ in columns} == set(VIEWS)
    for view, column, meaning, of_view in columns:
        assert meaning, f"{view}.{column}"
        assert of_view, view
        section = re.split(r"^## ", TEXT, flags=re.M)
        (mine,) = [part for part in section if part.startswith(f"`{view}`")]
        assert f"| `{column}` | {meaning} |" in mine, f"docs/reports.md: {view}.{column}"
        assert of_view in mine, f"docs/reports.md: {view}"
