"""Views of what is open: tags, versions, alerts, findings, locks; and of a month of runs."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from mirror.history import AuditOutcome, FindingRow, PostgresRecorder
from mirror.outcome import RunOutcome, RunStatus, SourceTag, TagStatus, Trigger, utcnow
from tests.history.values import begin, change, copied, digest, discovery, failed, plan, seen
from tests.support.records import MIRROR

NAME = MIRROR.name
HOUR = timedelta(hours=1)


def rows(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


async def test_tags_and_versions_that_are_behind(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    with engine.begin() as connection:  # followed for long
        connection.execute(sa.text("UPDATE mirror SET followed_since = now() - interval '9 days'"))
    recorder.mirrors.clear()
    now = utcnow()
    pushed = {"1.0": 5, "2.0": 4, "3.0": 2, "latest": 2, "0.9": 6, "4.0": 1}
    numbers = {"1.0": 1, "2.0": 2, "3.0": 3, "latest": 3, "0.9": 9, "4.0": 4}
    tags = {
        tag: change(tag, numbers[tag], pushed_at=now - hours * HOUR, detected_at=now - HOUR)
        for tag, hours in pushed.items()
    }
    found = discovery(*(SourceTag(t.tag, t.digest, t.pushed_at) for t in tags.values()))
    run = await begin(recorder)
    await recorder.discovered(run, NAME, found, plan(*tags.values()))
    for tag in ("1.0", "2.0"):
        await recorder.tag_ended(run, NAME, copied(tags[tag], now), seen(tags[tag], now))
    await recorder.tag_ended(run, NAME, failed(tags["3.0"], at=now), None)
    await recorder.tag_skipped(run, NAME, tags["4.0"], TagStatus.HELD, "immutable")
    behind = rows(
        engine,
        "SELECT tag, state, round(lag_seconds / 3600), reason FROM report_tags_behind ORDER BY tag",
    )
    assert behind == [
        ("0.9", "behind", 6, None),
        ("3.0", "failing", 2, "network"),
        ("4.0", "held", None, None),
        ("latest", "behind", 2, None),
    ]
    # 3.0 and latest are one version, 4.0 another; 0.9 is older than what is here.
    assert rows(
        engine,
        "SELECT versions_behind, versions_missing, newest_at_source, newest_here"
        " FROM report_versions_behind",
    ) == [(2, 3, "4.0", "2.0")]


async def test_a_mirror_that_has_everything_is_no_version_behind(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, copied(tag), seen(tag))
    assert rows(engine, "SELECT * FROM report_tags_behind") == []
    assert rows(
        engine, "SELECT versions_behind, versions_missing, newest_here FROM report_versions_behind"
    ) == [(0, 0, "0.1.0")]


async def test_alerts_findings_and_locks(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("""
                INSERT INTO alert (rule, severity, mirror_id, subject, opened_at, seen_at)
                SELECT 'tag_failed', 'warning', id, '1.0', now() - interval '1 hour', now()
                FROM mirror
            """)
        )
        connection.execute(
            sa.text("""
                INSERT INTO alert_delivery (alert_id, channel, kind, created_at, due_at, error)
                SELECT id, 'wecom', 'opened', now(), now(), 'refused' FROM alert
            """)
        )
    now = utcnow()
    finding = FindingRow("1.0", "missing_blob", "a blob is missing", digest(1))
    await recorder.add_audit(AuditOutcome(NAME, now, now, deep=False, tags=1, findings=(finding,)))
    assert rows(
        engine,
        "SELECT mirror, subject, round(open_seconds / 60), sent, unsent, last_error"
        " FROM report_alerts WHERE closed_at IS NULL",
    ) == [(NAME, "1.0", 60, 0, 1, "refused")]
    assert rows(
        engine, "SELECT mirror, tag, kind FROM report_audit_findings WHERE repaired_at IS NULL"
    ) == [(NAME, "1.0", "missing_blob")]
    async with recorder.target_lock(MIRROR.target):
        run = await begin(recorder)
        held = rows(engine, "SELECT mirror, target, host, run::text FROM report_locks")
        assert held == [(NAME, MIRROR.target, socket.gethostname(), run)]
    assert rows(engine, "SELECT * FROM report_locks") == []


async def test_recent_runs_are_those_of_a_month_or_the_last_fifty(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    outcome = RunOutcome(NAME, "", RunStatus.SUCCEEDED)
    now = utcnow()
    days = [*[0] * 60, *[29] * 3, *[31] * 5]
    for number, day in enumerate(days):
        at = now - timedelta(days=day, minutes=number)
        run = await recorder.begin_run(NAME, Trigger.WATCH, full=False, at=at)
        await recorder.end_run(replace(outcome, run_id=run), at)
    count = "SELECT count(*) FROM report_recent_runs"
    assert rows(engine, count) == [(63,)]
    with engine.begin() as connection:
        connection.execute(
            sa.text("DELETE FROM sync_run WHERE started_at > now() - interval '30 days'")
        )
    assert rows(engine, count) == [(5,)]
