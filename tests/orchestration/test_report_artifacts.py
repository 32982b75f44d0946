"""The report's page: bounded, unknown stays unknown, and words from outside stay words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flows.orchestration.report_artifacts import ROWS, alert_rows, goal_rows, markdown
from mirror.alerts import OpenAlert
from mirror.config.alerting import AlertRule
from mirror.config.channels import Severity
from mirror.history.alert_texts import Bilingual
from mirror.history.figures import FailureStats, MirrorReport, MirrorStatus, Report, Tags

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SAID = "denied | <img src=x> [log in](http://evil.example)\n# Header"
STATUS = MirrorStatus(
    mirror="m",
    source="docker.io/a/b",
    target="registry.example/a/b",
    every=timedelta(minutes=30),
    delay_goal=timedelta(minutes=30),
    tags=3,
    in_sync=2,
    behind=1,
    failing=1,
    held=0,
    gone=0,
    oldest_lag=timedelta(minutes=90),
    last_arrival_at=None,
    last_success_at=None,
)
ALERT = OpenAlert(
    rule=AlertRule.TAG_FAILED,
    severity=Severity.WARNING,
    mirror="m",
    subject="1.0.0",
    since=NOON,
    opened_at=NOON,
    what=Bilingual("标签失败", "tags that fail: 1"),
    error=SAID,
    unsent=2,
)


def report(mirror: MirrorReport) -> Report:
    """A report on one mirror over a week."""
    return Report(NOON - timedelta(days=7), NOON, (mirror,))


def test_a_registry_cannot_write_markup_into_the_page() -> None:
    failure = FailureStats("1.0.0", "auth", 4, NOON, "run", SAID)
    page = markdown(report(MirrorReport(STATUS, failures=(failure,))), [ALERT], [])
    assert page.count("denied \\| ") == 2
    assert "<img" not in page
    assert "[log in]" not in page
    assert "\n# Header" not in page


def test_what_was_not_measured_is_unknown_and_what_was_has_its_samples() -> None:
    rows = {row["goal"]: row for row in goal_rows(report(MirrorReport(STATUS, tags=Tags(199, 1))))}
    assert rows["tags that arrive"] == {
        "mirror": "m",
        "goal": "tags that arrive",
        "wanted": "≥ 99.00%",
        "measured": "99.50%",
        "samples": 200,
        "met": "yes",
    }
    assert rows["delay, 95 of 100 tags"]["wanted"] == "≤ 30m"
    assert rows["delay, 95 of 100 tags"]["measured"] == "unknown"
    assert rows["delay, 95 of 100 tags"]["met"] == "unknown"
    assert rows["pull speed against source"]["wanted"] == "≥ +50%"


def test_the_page_shows_lag_alerts_and_failed_channels() -> None:
    page = markdown(report(MirrorReport(STATUS)), [ALERT], ["feishu: refused"])
    assert "| m | 3 | 2 | 1 | 1 | 1h30m | never | never |" in page
    assert "| warning | tag_failed | m | 1.0.0 | 2026-03-02 12:00 UTC |" in page
    assert "- feishu: refused" in page


def test_thousands_of_alerts_are_cut_and_an_empty_history_is_reported() -> None:
    many = [replace(ALERT, subject=str(number)) for number in range(5000)]
    assert len(alert_rows(many)) == ROWS
    page = markdown(Report(None, NOON, ()), [], [])
    assert page.startswith("# Mirrors from the beginning to 2026-03-02 12:00 UTC")
    assert page.count("The history has no mirror yet.") == 2
