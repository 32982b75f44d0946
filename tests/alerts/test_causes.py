"""One cause, one alert: its consequences are named in it, and one recovery closes them all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from mirror.alerts import Watchdog
from mirror.alerts.outage import PATIENCE
from mirror.history import WatchRow, read_late_schedules
from mirror.history.engine import create_engine
from mirror.outcome import Quota, Reason
from tests.alerts.robots import Robots
from tests.alerts.story import MIRROR, Story, settings
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
    watchdog = Watchdog(lambda: story.now)
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
