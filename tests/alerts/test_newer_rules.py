"""Alerts of a rule that only a newer version knows, which works next to this one for a while."""

from __future__ import annotations

from typing import Any

from mirror.alerts import read_open_alerts
from mirror.history.database.engine import create_engine
from mirror.website.load import read_site_data
from tests.alerts.robots import Robots
from tests.alerts.story import Story, settings


async def test_they_are_left_to_the_version_that_knows_their_rule(
    story: Story, robots: Robots
) -> None:
    robots.clock = robots.wall = lambda: story.now.timestamp()
    channel: dict[str, Any] = {
        "dingtalk": {
            "token_env": "DINGTALK_TOKEN",
            "secret_env": "DINGTALK_SECRET",
            "url": robots.url,
        }
    }
    story.settings = settings((channel,))
    await story.sync({"1.0.0": None})
    await story.record.run(
        """
        WITH opened AS (
            INSERT INTO alert (rule, severity, opened_at, seen_at, details)
            VALUES ('of_tomorrow', 'critical', %(at)s, %(at)s,
                    jsonb_build_object('since', %(at)s::timestamptz))
            RETURNING id
        )
        INSERT INTO alert_delivery (alert_id, channel, kind, created_at, due_at)
        SELECT id, 'dingtalk', 'opened', %(at)s, %(at)s FROM opened
        """,
        {"at": story.now},
    )
    for minute in (1, 5):
        story.minute = minute
        await story.sync({"1.0.0": None})
        await story.look()
    assert robots.texts("dingtalk") == []
    [left] = await story.alerts("of_tomorrow")
    assert (left.closed_at, left.repeats) == (None, 0)
    engine = create_engine(story.record.url)
    try:
        assert read_open_alerts(engine) == ()
        assert read_site_data(engine, story.settings.mirrors).incidents == ()
    finally:
        engine.dispose()
