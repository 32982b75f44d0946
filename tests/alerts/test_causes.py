"""One cause, one alert: its consequences are named in it, and one recovery closes them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mirror.alerts import Watchdog
from mirror.alerts.outage import PATIENCE
from mirror.history import WatchRow, read_late_schedules
from mirror.history.database.engine import create_engine
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Quota,
    Reason,
    RunOutcome,
    RunStatus,
    Trigger,
    Verification,
)
from tests.alerts.robots import Robots
from tests.alerts.story import MIRROR, Story, digest, settings
from tests.alerts.test_alerts import dingtalk

OTHER = "hagicode-azure"


@pytest.fixture(autouse=True)
def channel(story: Story, robots: Robots) -> None:
    """DingTalk takes every alert, in the story's time."""
    story.settings = settings((dingtalk(robots),))
    robots.clock = robots.wall = lambda: story.now.timestamp()


async def run(story: Story, minute: float, tags: Mapping[str, Reason | None], **how: Any) -> None:
    """A sync at a minute, and the round of alerting after it."""
    story.minute = minute
    await story.sync(tags, **how)
    await story.look()


async def rules(story: Story, *, closed: bool = False) -> list[str]:
    """The rules of the alerts that are open, or of all that ever were."""
    return [alert.rule for alert in await story.alerts() if closed or alert.closed_at is None]


async def test_a_refused_push_is_one_alert_and_two_messages(story: Story, robots: Robots) -> None:
    await run(story, 0, {"1.0.0": None})
    for minute in (30, 35, 40, 45, 105, 165):
        await run(story, minute, {"1.0.1": Reason.AUTH, "1.0.2": Reason.AUTH}, pushed=29)
    assert await rules(story, closed=True) == ["credential_refused"]
    [alert] = await story.alerts()
    assert alert.subject == "registry.example.com"
    assert alert.details["consequences"] == {
        "tag_failed": [f"{MIRROR}:1.0.1", f"{MIRROR}:1.0.2"],
        "delay_goal": [f"{MIRROR}:1.0.1", f"{MIRROR}:1.0.2"],
        "no_success": [MIRROR],
    }
    await run(story, 170, {"1.0.1": None, "1.0.2": None}, pushed=29)
    assert await rules(story) == []
    opened, over = robots.texts("dingtalk")
    assert "registry.example.com refused the credential" in opened
    assert "1.0.1, 1.0.2" in opened
    assert "accepted again" in over
    assert "tags that miss the delay goal: 2" in over
    assert "no sync succeeds" in over


async def test_one_registry_that_refuses_two_mirrors_is_one_alert(
    story: Story, robots: Robots
) -> None:
    story.settings = settings((dingtalk(robots),), mirrors=(MIRROR, OTHER))
    await story.begin()
    for minute in (0, 5, 10, 15):
        story.minute = minute
        await story.sync({"1.0.0": Reason.AUTH}, mirror=MIRROR)
        await story.sync({"1.0.0": Reason.AUTH}, mirror=OTHER)
        await story.look()
    [alert] = await story.alerts()
    assert sorted(alert.details["mirrors"]) == [MIRROR, OTHER]
    await run(story, 20, {"1.0.0": None}, mirror=MIRROR)
    assert await rules(story) == ["credential_refused"]
    await run(story, 25, {"1.0.0": None}, mirror=OTHER)
    assert len(robots.texts("dingtalk")) == 2


async def test_a_registry_that_is_away_is_one_alert_until_its_last_tag_arrived(
    story: Story, robots: Robots
) -> None:
    await run(story, 0, {"1.0.0": None})
    for minute in (30, 35, 40, 45, 75, 105, 135, 165):
        await run(story, minute, {"1.0.1": Reason.NETWORK}, pushed=29)
    assert await rules(story, closed=True) == ["registry_unreachable"]
    # A first run that finds nothing else to do leaves the tag for its next try.
    await run(story, 170, {})
    assert await rules(story) == ["registry_unreachable"]
    await run(story, 200, {"1.0.1": None}, pushed=29)
    await run(story, 230, {})
    assert await rules(story) == []
    assert await rules(story, closed=True) == ["registry_unreachable"]
    assert len(robots.texts("dingtalk")) == 2


async def test_a_failed_run_explains_that_nothing_succeeds(story: Story, robots: Robots) -> None:
    await run(story, 0, {"1.0.0": None})
    for minute in (30, 35, 40, 45, 75, 105, 135):
        await run(story, minute, {}, whole=Reason.INTERNAL)
    assert await rules(story, closed=True) == ["run_failed"]
    [alert] = await story.alerts()
    assert alert.details["consequences"] == {"no_success": [MIRROR]}
    await run(story, 140, {})
    assert len(robots.texts("dingtalk")) == 2


async def test_a_tag_that_fails_explains_its_missed_goal_and_no_other_tags(story: Story) -> None:
    await run(story, 0, {"1.0.0": None})
    for minute in (30, 35, 40, 45):
        await run(story, minute, {"1.0.1": Reason.STORAGE, "1.0.0": None}, pushed=29)
    story.minute = 62
    await story.look()
    assert await rules(story, closed=True) == ["tag_failed"]
    story.minute = 63
    await story.sync({"2.0.0": Reason.SERVER_ERROR}, pushed=20)
    await story.look()
    assert await rules(story) == ["tag_failed", "delay_goal"]


async def test_a_floating_tag_that_waits_for_a_refused_release_opens_no_other_alert(
    story: Story,
) -> None:
    await run(story, 0, {"1.0.0": None})
    tags = {"2.0.0": None, "2.0.1": Reason.AUTH, "latest": Reason.AUTH}
    await run(story, 30, tags, number=2, pushed=29)
    await story.record.run(  # as a tag that waits: it was not tried
        "UPDATE tag_state SET attempts = 0, failed_since = NULL, reason = NULL, message = NULL"
        " WHERE tag = 'latest'",
        {},
    )
    story.minute = 60
    await story.look()
    assert await rules(story, closed=True) == ["credential_refused"]
    [alert] = await story.alerts()
    assert alert.details["consequences"] == {"delay_goal": [f"{MIRROR}:2.0.1", f"{MIRROR}:latest"]}


async def test_a_floating_tag_that_waits_for_a_release_that_fails_opens_no_other_alert(
    story: Story, robots: Robots
) -> None:
    await run(story, 0, {"1.0.0": None})
    failing = {"2.0.1": Reason.STORAGE, "latest": Reason.STORAGE}
    for minute in (30, 35, 40, 45, 62):
        story.minute = minute
        await story.sync(failing, number=2, pushed=29)
        await story.record.run(  # as a tag that waits: it was not tried
            "UPDATE tag_state SET attempts = 0, failed_since = NULL, reason = NULL, message = NULL"
            " WHERE tag = 'latest'",
            {},
        )
        await story.look()
    assert await rules(story, closed=True) == ["tag_failed"]
    [alert] = await story.alerts()
    assert alert.subject == "2.0.1"
    assert alert.details["consequences"]["delay_goal"] == [f"{MIRROR}:2.0.1", f"{MIRROR}:latest"]
    # In the run that copies both, the release arrives first.
    story.minute = 70
    release = Change("2.0.1", "2.0.1", ChangeKind.NEW, digest(2), story.at(29), story.at(30))
    copied = CopyOutcome(release, story.now, story.now, target_digest=release.digest)
    begun = await story.record.begin_run(MIRROR, Trigger.SCHEDULE, True, at=story.now)
    await story.record.tag_started(begun, MIRROR, release, story.now)
    await story.record.tag_ended(begun, MIRROR, copied, Verification(release, story.now))
    await story.look()
    assert await rules(story) == []
    await story.record.end_run(RunOutcome(MIRROR, begun, RunStatus.PARTIAL), story.now)
    await run(story, 70, dict.fromkeys(failing), number=2, pushed=29)
    assert await rules(story, closed=True) == ["tag_failed"]
    assert await rules(story) == []
    assert len(robots.texts("dingtalk")) == 2


async def test_a_quota_that_is_gone_explains_the_tags_that_wait_for_it(story: Story) -> None:
    await run(story, 0, {"1.0.0": None})
    await story.record.add_quota(Quota("docker.io", None, 100, 0, 6 * 3600, story.now))
    for minute in (30, 35, 40, 45, 75):
        await run(story, minute, {"1.0.1": Reason.THROTTLED, "1.0.0": None}, pushed=29)
    # The story's errors name the target: throttled by it, they have another cause.
    assert await rules(story, closed=True) == ["quota_low", "tag_failed"]
    await story.record.run(
        "UPDATE tag_state SET message = replace(message, 'registry.example.com', 'docker.io')", {}
    )
    await story.look()
    assert await rules(story) == ["quota_low"]


async def test_a_message_that_went_out_is_taken_over_by_its_cause_without_a_recovery(
    story: Story, robots: Robots
) -> None:
    await run(story, 0, {"1.0.0": None})
    for minute in (30, 35, 40, 45):
        await run(story, minute, {"1.0.1": Reason.STORAGE, "1.0.0": None}, pushed=40)
    assert await rules(story) == ["tag_failed"]
    await run(story, 50, {"1.0.1": Reason.AUTH, "1.0.0": None}, pushed=40)
    assert await rules(story) == ["credential_refused"]
    [tag, _] = await story.alerts()
    assert tag.details["cause"] == "credential_refused registry.example.com"
    assert len(robots.texts("dingtalk")) == 2
    await run(story, 55, {"1.0.1": None}, pushed=40)
    assert ["已恢复" in text for text in robots.texts("dingtalk")] == [False, False, True]


async def watch(story: Story) -> None:
    """A round of the watch now."""
    await story.record.add_watch(WatchRow(story.now, story.now, (MIRROR,), (), (), 1))


async def test_a_schedule_that_stops_firing_is_one_alert_with_everything_it_brings(
    story: Story, robots: Robots
) -> None:
    for minute in (0, 2, 4):
        story.minute = minute
        await watch(story)
    await run(story, 5, {"1.0.0": None})
    story.minute = 13
    await story.look()
    assert await rules(story) == []
    for minute in (15, 40, 65, 97, 126):
        story.minute = minute
        await story.look()
    assert await rules(story, closed=True) == ["schedule_late"]
    [alert] = await story.alerts()
    assert alert.subject == "watch"
    assert alert.details["consequences"] == {
        "schedule_late": [f"{MIRROR}:sync"],
        "no_success": [MIRROR],
    }
    story.minute = 130
    await watch(story)
    await run(story, 130, {})
    assert await rules(story) == []
    assert len(robots.texts("dingtalk")) == 2
    assert "the schedule watch (every 2 min) has not run for 11 min" in robots.texts("dingtalk")[0]


async def test_a_mirror_whose_scheduled_runs_are_cancelled_is_alerted_though_others_run(
    story: Story,
) -> None:
    """A cancelled run leaves no row: the leaked slot of one deployment silences one schedule."""
    await run(story, 0, {"1.0.0": None})
    for minute in range(0, 100, 2):
        story.minute = minute
        await watch(story)
    await story.look()
    engine = create_engine(story.record.url)
    try:
        [late] = read_late_schedules(engine, [MIRROR], story.now)
    finally:
        engine.dispose()
    assert (late.schedule, late.mirrors, late.every) == ("sync", (MIRROR,), timedelta(minutes=30))
    assert late.line(story.now).startswith(f"the sync of {MIRROR} has not run for 98 min")
    assert await rules(story) == ["schedule_late"]


async def test_the_watch_is_not_late_while_it_finds_nothing_after_a_push(story: Story) -> None:
    await run(story, 0, {"1.0.0": None})
    quiet = WatchRow(story.now, story.now, (MIRROR,), (), (), 1)
    key = await story.record.add_watch(quiet)
    await story.record.add_watch(replace(quiet, started_at=story.at(1), ended_at=story.at(1)))
    await run(story, 30, {})
    await story.record.extend_watch(key, story.at(30), 120)
    story.minute = 40
    await story.look()
    assert await rules(story) == []
    story.minute = 41
    await story.look()
    assert await rules(story) == ["schedule_late"]


async def test_what_nobody_scheduled_is_not_late(story: Story) -> None:
    await run(story, 0, {"1.0.0": None})
    await story.record.run("UPDATE sync_run SET trigger = 'manual'", {})
    story.minute = 85
    await story.look()
    assert await rules(story) == []


async def test_an_outage_of_the_database_explains_what_was_missed_meanwhile(
    story: Story, robots: Robots
) -> None:
    await watch(story)
    await run(story, 0, {"1.0.0": None})
    nowhere = "postgresql://nobody:a-secret@127.0.0.1:1/nothing"
    watchdog = Watchdog(lambda: story.now, lambda: 60 * story.minute)
    for minute in range(1, 1 + PATIENCE):
        story.minute = minute
        await watchdog.look(story.settings, nowhere)
    story.minute = 180
    await watchdog.look(story.settings, story.record.url)
    await story.look()
    assert await rules(story) == []
    assert [alert.rule for alert in await story.alerts()] == ["database_away"]
    story.minute = 181
    await watch(story)
    await run(story, 181, {"1.0.1": None}, pushed=20)
    assert await rules(story, closed=True) == ["database_away"]
    assert len(robots.texts("dingtalk")) == 2
    # What does not come back by itself is alerted after all.
    story.minute = 300
    await story.look()
    assert await rules(story) == ["schedule_late"]


async def test_a_clock_that_jumps_ahead_opens_no_alert_and_silence_after_it_does(
    story: Story, robots: Robots
) -> None:
    passed = [0.0]  # minutes of the monotonic clock
    watchdog = Watchdog(lambda: story.now, lambda: 60 * passed[0])

    async def at(minute: float, monotonic: float) -> None:
        story.minute, passed[0] = minute, monotonic
        await watchdog.look(story.settings, story.record.url)

    await watch(story)
    await run(story, 0, {"1.0.0": None})
    await at(1, 1)
    await at(182, 2)  # three hours ahead: the watch and the syncs look late
    await at(183, 3)
    assert await rules(story) == []
    await story.look()  # as another process does, which has not seen the jump
    assert await rules(story, closed=True) == ["database_away"]
    [jump] = await story.alerts()
    assert (jump.opened_at, jump.closed_at) == (story.at(1), story.at(182))
    assert "the clock was set ahead" in jump.details["error"]
    await watch(story)
    await run(story, 183, {"1.0.1": None}, pushed=180)
    await at(190, 10)
    assert await rules(story) == []
    await at(195, 15)
    assert await rules(story) == ["schedule_late"], "it ran after the jump, and then no more"
    assert len(robots.texts("dingtalk")) == 1


async def test_what_a_jump_of_the_clock_explains_is_alerted_if_it_does_not_end(
    story: Story,
) -> None:
    passed = [0.0]
    watchdog = Watchdog(lambda: story.now, lambda: 60 * passed[0])
    await watch(story)
    await run(story, 0, {"1.0.0": None})
    for minute, monotonic in ((61, 1), (100, 40), (105, 45)):
        story.minute, passed[0] = minute, monotonic
        await watchdog.look(story.settings, story.record.url)
        expected = [] if minute < 102 else ["schedule_late"]
        assert await rules(story) == expected, minute


async def test_a_clock_that_is_set_right_again_hides_no_silence(story: Story) -> None:
    passed = [0.0]
    watchdog = Watchdog(lambda: story.now, lambda: 60 * passed[0])
    await watch(story)
    await run(story, 0, {"1.0.0": None})
    for minute, monotonic in ((182, 2), (3, 3), (16, 16)):
        story.minute, passed[0] = minute, monotonic
        await watchdog.look(story.settings, story.record.url)
    assert await rules(story) == ["schedule_late"]


async def test_a_clock_that_is_set_back_opens_no_alert(story: Story) -> None:
    story.minute, passed = 120, [120.0]
    await watch(story)
    await story.sync({"1.0.0": None})
    watchdog = Watchdog(lambda: story.now, lambda: 60 * passed[0])
    for minute, monotonic in ((60, 121), (61, 122), (119, 180)):
        story.minute, passed[0] = minute, monotonic
        await watchdog.look(story.settings, story.record.url)
    assert await rules(story, closed=True) == []
