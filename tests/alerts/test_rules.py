"""Each rule opens its alert when it should, not before, and closes it when it is over."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mirror.alerts import note_credential_ends
from mirror.config.settings import Settings
from mirror.history import AuditOutcome, FindingRow, ProbePull
from mirror.history.database.engine import create_engine
from mirror.outcome import ChangeKind, Dropped, DropReason, Quota, Reason
from tests.alerts.story import MIRROR, Story, settings


async def opens(story: Story, rule: str) -> list[str]:
    """Subjects of a rule's open alerts after a look at the record."""
    await story.look()
    return await story.open_alerts(rule)


async def test_a_tag_is_alerted_after_its_third_retry(story: Story) -> None:
    for minute in (0, 5, 10):
        story.minute = minute
        await story.sync({"1.0.0": Reason.SERVER_ERROR, "1.0.1": None})
        assert await opens(story, "tag_failed") == []
    story.minute = 15
    await story.sync({"1.0.0": Reason.SERVER_ERROR}, flow_run_id="run-4")
    assert await opens(story, "tag_failed") == ["1.0.0"]
    [alert] = await story.alerts("tag_failed")
    assert alert.severity == "warning"
    assert alert.details["reason"] == "server_error"
    assert alert.details["flow_run_id"] == "run-4"
    assert alert.details["facts"] == {"retries": 3}
    assert alert.details["since"].startswith("2026-03-02T01:00:00")


async def test_a_failed_tag_that_moves_at_the_source_has_not_recovered(story: Story) -> None:
    for minute in (0, 5, 10, 15):
        story.minute = minute
        await story.sync({"latest": Reason.SERVER_ERROR})
    assert await opens(story, "tag_failed") == ["latest"]
    story.minute = 75
    await story.sync({"latest": Reason.SERVER_ERROR}, number=2)
    assert await opens(story, "tag_failed") == ["latest"]
    story.minute = 80
    await story.sync({"latest": None}, number=2)
    assert await opens(story, "tag_failed") == []
    assert len(await story.alerts("tag_failed")) == 1


async def test_a_run_is_alerted_after_its_third_retry(story: Story) -> None:
    await story.sync({"1.0.0": None})
    for minute in (5, 10, 15):
        story.minute = minute
        await story.sync(whole=Reason.NETWORK)
        assert await opens(story, "run_failed") == []
    story.minute = 20
    await story.sync(whole=Reason.NETWORK, flow_run_id="run-4")
    assert await opens(story, "run_failed") == [""]
    [alert] = await story.alerts("run_failed")
    assert alert.severity == "critical"
    assert alert.details["facts"] == {"runs": 4}
    assert alert.details["error"] == "the run failed: network"
    assert alert.details["since"].startswith("2026-03-02T01:05:00")
    story.minute = 50
    await story.sync()
    assert await opens(story, "run_failed") == []


async def test_a_run_that_fails_only_in_its_tags_is_alerted_by_its_tags(story: Story) -> None:
    for minute in (0, 5, 10, 15):
        story.minute = minute
        await story.sync({"1.0.0": Reason.STORAGE})
    await story.look()
    assert [alert.rule for alert in await story.alerts()] == ["tag_failed"]


async def test_runs_that_found_the_target_locked_are_no_failures(story: Story) -> None:
    for minute in range(0, 50, 5):
        story.minute = minute
        await story.sync(whole=Reason.LOCK)
    assert await opens(story, "run_failed") == []


async def test_a_tag_that_is_behind_for_longer_than_the_goal_is_alerted(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 40
    await story.sync({"1.0.1": Reason.SERVER_ERROR}, pushed=30)
    story.minute = 60
    await story.sync()
    assert await opens(story, "delay_goal") == []
    story.minute = 61
    assert await opens(story, "delay_goal") == ["1.0.1"]
    [alert] = await story.alerts("delay_goal")
    assert alert.details["facts"] == {"goal_minutes": 30, "delay_minutes": 31}
    story.minute = 70
    await story.sync({"1.0.1": None}, pushed=30)
    assert await opens(story, "delay_goal") == []
    assert len(await story.alerts("delay_goal")) == 1


async def test_a_tag_that_arrived_late_while_nobody_looked_is_alerted_once(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 80
    await story.sync({"1.0.1": None}, pushed=20)
    assert await opens(story, "delay_goal") == ["1.0.1"]
    [alert] = await story.alerts("delay_goal")
    assert alert.details["facts"]["delay_minutes"] == 60
    story.minute = 81
    assert await opens(story, "delay_goal") == []
    story.minute = 82
    assert await opens(story, "delay_goal") == []
    assert len(await story.alerts("delay_goal")) == 1


async def test_a_tag_pushed_before_the_mirror_existed_is_not_late_yet(story: Story) -> None:
    story.minute = 20
    await story.sync({"1.0.0": Reason.TIMEOUT}, pushed=-500_000)
    assert await opens(story, "delay_goal") == []


async def test_silence_for_three_intervals_is_alerted(story: Story) -> None:
    story.settings = settings(rules={"schedule_late": {"enabled": False}})
    await story.sync({"1.0.0": None})
    story.minute = 90
    assert await opens(story, "no_success") == []
    story.minute = 91
    assert await opens(story, "no_success") == [""]
    [alert] = await story.alerts("no_success")
    assert alert.details["facts"] == {"intervals": 3, "every_minutes": 30}
    assert alert.severity == "critical"
    await story.sync()
    assert await opens(story, "no_success") == []


async def test_a_mirror_that_never_ran_is_alerted(story: Story) -> None:
    story.minute = 91
    assert await opens(story, "no_success") == [""]


async def test_failed_runs_are_silence_and_partial_ones_are_not(story: Story) -> None:
    for minute in range(0, 121, 30):
        story.minute = minute
        await story.sync({"1.0.0": None, "1.0.1": Reason.STORAGE}, number=minute + 1)
    assert await opens(story, "no_success") == []
    for minute in range(150, 241, 30):
        story.minute = minute
        await story.sync(whole=Reason.AUTH)
    assert await opens(story, "no_success") == []
    causes = ("credential_refused", "run_failed")
    story.settings = settings(rules={key: {"enabled": False} for key in causes})
    assert await opens(story, "no_success") == [""]


async def test_drift_is_alerted_though_the_same_run_repaired_it(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 30
    await story.sync({"1.0.0": None}, kind=ChangeKind.DRIFTED)
    assert await opens(story, "drift") == ["1.0.0"]
    story.minute = 32
    assert await opens(story, "drift") == []
    story.minute = 34
    assert await opens(story, "drift") == []
    assert len(await story.alerts("drift")) == 1


async def test_drift_that_cannot_be_repaired_stays_alerted(story: Story) -> None:
    await story.sync({"1.0.0": None})
    for minute in (30, 35):
        story.minute = minute
        await story.sync({"1.0.0": Reason.STORAGE}, kind=ChangeKind.MISSING)
        assert await opens(story, "drift") == ["1.0.0"]
    story.minute = 40
    await story.sync({"1.0.0": None}, kind=ChangeKind.MISSING)
    assert await opens(story, "drift") == []
    assert len(await story.alerts("drift")) == 1


async def test_what_an_audit_finds_is_alerted_until_it_is_repaired(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 10
    found = FindingRow("1.0.0", "missing_blob", "1.0.0: a layer is gone")
    await story.record.add_audit(
        AuditOutcome(MIRROR, story.now, story.now, False, 1, findings=(found,))
    )
    assert await opens(story, "drift") == ["1.0.0"]
    story.minute = 20
    await story.record.run("UPDATE audit_finding SET repaired_at = %(at)s", {"at": story.now})
    assert await opens(story, "drift") == []


async def test_an_immutable_tag_that_moved_is_alerted_until_it_moves_back(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 30
    await story.sync(held=("1.0.0",), number=2)
    assert await opens(story, "immutable_moved") == ["1.0.0"]
    assert (await story.alerts("immutable_moved"))[0].severity == "critical"
    story.minute = 60
    await story.sync({"1.0.0": None}, number=1)
    assert await opens(story, "immutable_moved") == []


async def test_a_low_quota_is_alerted_until_its_window_is_over(story: Story) -> None:
    for minute, remaining in ((0, 60), (1, 10)):
        story.minute = minute
        await story.record.add_quota(Quota("docker.io", None, 100, remaining, 6 * 3600, story.now))
        expected = ["docker.io"] if remaining == 10 else []
        assert await opens(story, "quota_low") == expected
    [alert] = await story.alerts("quota_low")
    assert alert.mirror_id is None
    assert alert.details["mirrors"] == [MIRROR]
    assert alert.details["facts"] == {
        "registry": "docker.io",
        "account": "anonymous",
        "remaining": 10,
        "quota": 100,
        "window_hours": 6.0,
    }
    story.minute = 362
    assert await opens(story, "quota_low") == []


async def test_a_refused_credential_is_alerted_at_once(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 30
    await story.sync(whole=Reason.AUTH)
    assert await opens(story, "credential_refused") == [""]
    story.minute = 35
    await story.sync()
    assert await opens(story, "credential_refused") == []


async def test_a_source_that_lost_its_tags_is_alerted_until_it_is_plausible(story: Story) -> None:
    await story.sync({"1.0.0": None})
    story.minute = 30
    await story.sync(whole=Reason.SUSPICIOUS)
    assert await opens(story, "source_lost_tags") == [""]
    story.minute = 35
    await story.sync()
    assert await opens(story, "source_lost_tags") == []


async def test_a_credential_refused_for_a_tag_alone_is_alerted_with_the_tag(story: Story) -> None:
    await story.sync({"1.0.0": Reason.AUTH, "1.0.1": None})
    assert await opens(story, "credential_refused") == ["registry.example.com"]
    assert (await story.alerts("credential_refused"))[0].details["tags"] == ["1.0.0"]


def token(ends: datetime) -> str:
    """A JWT that ends then (RFC 7519), as Azure's identity tokens are."""
    parts: tuple[dict[str, object], ...] = ({"alg": "none"}, {"exp": int(ends.timestamp())}, {})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    return ".".join(part.decode().rstrip("=") for part in encoded)


async def test_a_credential_that_ends_within_two_weeks_is_alerted(
    story: Story, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("ACR_PASSWORD", token(story.at(0) + timedelta(days=20)))
    acr = {"username": "robot", "password_env": "ACR_PASSWORD"}
    body = story.settings.model_dump(exclude={"alerts", "limits"})
    story.settings = Settings.model_validate({**body, "registries": {"registry.example.com": acr}})

    def note() -> None:
        engine = create_engine(story.record.url)
        note_credential_ends(story.settings, engine, story.now)
        engine.dispose()

    note()
    assert await opens(story, "credential_expiring") == []
    story.minute = 7 * 24 * 60
    note()
    assert await opens(story, "credential_expiring") == ["registry.example.com"]
    [alert] = await story.alerts("credential_expiring")
    assert alert.details["facts"]["days"] == 13
    assert alert.details["facts"]["expires"] == "2026-03-22 01:00 UTC"
    assert alert.details["error"] == "it comes from ACR_PASSWORD from the environment"
    monkeypatch.setenv("ACR_PASSWORD", "a password without an expiry")
    note()
    assert await opens(story, "credential_expiring") == []
    monkeypatch.delenv("ACR_PASSWORD")
    note()


async def test_attestations_that_the_target_refused_are_alerted(story: Story) -> None:
    part = Dropped("sha256:aa", "application/json", DropReason.ATTESTATION_REFUSED)
    await story.sync({"1.0.0": None}, dropped=(part,))
    story.minute = 60
    await story.sync({"1.0.1": None}, dropped=(part,))
    assert await opens(story, "attestations_dropped") == [""]
    [alert] = await story.alerts("attestations_dropped")
    assert alert.severity == "info"
    assert alert.details["tags"] == ["1.0.0", "1.0.1"]
    story.minute = 8 * 24 * 60
    assert await opens(story, "attestations_dropped") == []


async def test_attestations_left_out_by_wish_are_no_alert(story: Story) -> None:
    part = Dropped("sha256:aa", "application/json", DropReason.ATTESTATION)
    await story.sync({"1.0.0": None}, dropped=(part,))
    assert await opens(story, "attestations_dropped") == []


async def test_failed_pulls_beyond_the_goal_are_alerted(story: Story) -> None:
    await probes(story, well=98, failed=1)  # 1 of 99 is more than 1 %
    assert await opens(story, "pull_failures") == [""]
    [alert] = await story.alerts("pull_failures")
    assert alert.details["facts"]["failed"] == 1
    assert alert.details["facts"]["percent"] == 1.01
    await probes(story, well=1, failed=0)  # 1 of 100 is within the goal
    assert await opens(story, "pull_failures") == []


async def test_too_few_pulls_say_nothing(story: Story) -> None:
    await probes(story, well=10, failed=9)
    assert await opens(story, "pull_failures") == []


async def probes(story: Story, *, well: int, failed: int) -> None:
    """Pulls from the target, one a minute."""
    for number in range(well + failed):
        story.minute += 1
        await story.record.add_probes(
            [
                ProbePull(
                    MIRROR,
                    story.now,
                    "latest",
                    "target",
                    number >= failed,
                    reason=None if number >= failed else Reason.TIMEOUT,
                )
            ]
        )


async def test_a_rule_that_is_switched_off_finds_nothing(story: Story) -> None:
    story.settings = settings(rules={"no_success": {"enabled": False}})
    story.minute = 500
    assert await opens(story, "no_success") == []


async def test_a_mirror_that_the_record_does_not_know_yet_is_made_known(story: Story) -> None:
    await story.record.run("DELETE FROM mirror", {})
    await story.look()
    rows = await story.record.rows("SELECT name FROM mirror")
    assert [row.name for row in rows] == [MIRROR]
