"""From the record to people: every channel gets each alert once, and nothing is lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mirror.outcome import Reason
from tests.alerts.mail_server import PASSWORD, Mailbox, serve_mail
from tests.alerts.robots import Robots
from tests.alerts.story import Story, settings

DINGTALK: dict[str, Any] = {"token_env": "DINGTALK_TOKEN", "secret_env": "DINGTALK_SECRET"}
FEISHU: dict[str, Any] = {"token_env": "FEISHU_TOKEN", "secret_env": "FEISHU_SECRET"}
WECOM: dict[str, Any] = {"key_env": "WECOM_KEY"}
HOUR = 60
ONLY_TAGS = {key: {"enabled": False} for key in ("no_success", "delay_goal", "schedule_late")}


def dingtalk(robots: Robots, **wants: Any) -> dict[str, Any]:
    """DingTalk as an entry of `alerts:`."""
    return {"dingtalk": {**DINGTALK, "url": robots.url}, **wants}


def feishu(robots: Robots, **wants: Any) -> dict[str, Any]:
    """Feishu as an entry of `alerts:`."""
    return {"feishu": {**FEISHU, "url": robots.url}, **wants}


@pytest.fixture(autouse=True)
def same_time(story: Story, robots: Robots) -> None:
    """The robots live in the story's time."""
    robots.clock = robots.wall = lambda: story.now.timestamp()


@pytest.fixture
async def failed(story: Story, robots: Robots) -> AsyncIterator[Story]:
    """A story with DingTalk and Feishu, in which a tag has failed and failed again."""
    story.settings = settings((dingtalk(robots), feishu(robots)))
    await fail(story)
    yield story


async def fail(story: Story, *tags: str) -> None:
    """Tags fail, and fail in their three retries; it is then a quarter past."""
    begin = story.minute
    for minute in (0, 5, 10, 15):
        story.minute = begin + minute
        failing = dict.fromkeys(tags or ("1.0.0",), Reason.SERVER_ERROR)
        await story.sync({**failing, "0.9.0": None}, flow_run_id="7b1d")


async def test_every_channel_gets_one_message_and_one_when_it_recovers(
    failed: Story, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_UI_URL", raising=False)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    for minute in (15, 17, 19):
        failed.minute = minute
        await failed.look()
    assert [robot for robot, _ in robots.taken] == ["dingtalk", "feishu"] or [
        robot for robot, _ in robots.taken
    ] == ["feishu", "dingtalk"]
    [text] = robots.texts("feishu")
    for part in (
        "[警告 WARNING] hagicode-aliyun",
        "1 个标签重试 3 次后仍同步失败",
        "tags that still fail after 3 retries: 1",
        "开始时间：2026-03-02 09:00（北京时间）",
        "Since: 2026-03-02 01:00 UTC",
        "标签：1.0.0",
        "server_error：仓库内部错误",
        "registry.example.com: 1.0.0: server_error",
        "运行记录 Run: http://127.0.0.1:4200/runs/flow-run/7b1d",
    ):
        assert part in text
    failed.minute = 20
    await failed.sync({"1.0.0": None})
    for minute in (20, 22):
        failed.minute = minute
        result = await failed.look()
    assert result.dispatched.sent == 0
    assert len(robots.texts("dingtalk")) == len(robots.texts("feishu")) == 2
    recovered = robots.texts("feishu")[1]
    assert "[恢复 RECOVERED] hagicode-aliyun" in recovered
    assert "1 个标签不再失败" in recovered
    assert "Until: 2026-03-02 01:20 UTC" in recovered


async def test_an_alert_that_stays_open_is_repeated_at_intervals(
    story: Story, robots: Robots
) -> None:
    story.settings = settings((dingtalk(robots),), repeat={"warning": "2h"})
    await fail(story)
    for minute in range(15, 15 + 5 * HOUR, 30):
        story.minute = minute
        await story.sync({"0.9.0": None})
        await story.look()
    texts = [text for text in robots.texts("dingtalk") if "重试 3 次" in text]
    assert [("仍未恢复" in text) for text in texts] == [False, True, True]


async def test_many_tags_are_one_message(story: Story, robots: Robots) -> None:
    story.settings = settings((dingtalk(robots),))
    await fail(story, *(f"1.0.{number}" for number in range(40)))
    await story.look()
    [text] = robots.texts("dingtalk")
    assert "40 个标签重试 3 次后仍同步失败" in text
    assert len(await story.alerts("tag_failed")) == 40


async def test_a_channel_that_is_down_loses_nothing_and_holds_up_no_other(
    failed: Story, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINGTALK_SECRET", "wrong")
    result = await failed.look()
    assert result.dispatched.sent == 1
    assert "310000" in result.dispatched.failures["dingtalk"]
    failed.minute = 20
    await failed.sync({"1.0.0": None})
    await failed.look()
    assert len(robots.texts("feishu")) == 2
    assert robots.texts("dingtalk") == []
    monkeypatch.setenv("DINGTALK_SECRET", "SEC-of-the-robot")
    failed.minute = 25
    await failed.look()
    first, second = robots.texts("dingtalk")
    assert "仍同步失败" in first
    assert "不再失败" in second


async def test_a_failing_channel_is_tried_less_and_less(failed: Story, robots: Robots) -> None:
    robots.away = True
    failed.settings = settings((feishu(robots),), rules=ONLY_TAGS)
    tries = []
    for minute in (0, 0.9, 1, 2.9, 3, 6, 7, 14, 15, 30, 31, 62, 63, 122, 123, 182, 183):
        failed.minute = 15 + minute
        before = robots.asked
        await failed.look()
        if robots.asked > before:
            tries.append(minute)
    assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183]


async def test_quiet_hours_hold_back_what_is_not_critical(story: Story, robots: Robots) -> None:
    quiet = {"from": "09:00", "to": "12:00", "timezone": "Asia/Shanghai"}
    story.settings = settings((dingtalk(robots),), quiet_hours=quiet)
    await fail(story)  # 09:15 in Beijing
    await story.look()
    assert robots.taken == []
    story.minute = 45
    await story.sync(held=("0.9.0",), number=9)
    await story.look()
    [critical] = robots.texts("dingtalk")
    assert "不可变标签在来源处被改动" in critical
    story.minute = 3 * HOUR
    await story.sync({"0.8.0": None})
    await story.look()
    assert any("重试 3 次后仍同步失败" in text for text in robots.texts("dingtalk")[1:])


async def test_a_channel_gets_only_the_severities_and_mirrors_that_it_names(
    story: Story, robots: Robots
) -> None:
    story.settings = settings(
        (
            dingtalk(robots, severities=["critical"]),
            feishu(robots, mirrors=["another"]),
            {"wecom": {**WECOM, "url": robots.url}, "mirrors": ["hagicode-aliyun"]},
        ),
        mirrors=("hagicode-aliyun", "another"),
    )
    await fail(story)
    await story.look()
    assert [robot for robot, _ in robots.taken] == ["wecom"]


async def test_two_rounds_at_once_send_one_message(failed: Story, robots: Robots) -> None:
    await asyncio.gather(*(failed.look() for _ in range(4)))
    await failed.look()
    assert len(robots.texts("dingtalk")) == len(robots.texts("feishu")) == 1
    assert len(await failed.alerts()) == 1


async def test_a_dead_robot_holds_up_nobody_for_longer_than_the_budget(
    failed: Story, robots: Robots
) -> None:
    robots.slow = 60.0  # longer than any limit but the budget: a message alone may take 10 s
    async with asyncio.timeout(30):
        result = await failed.look(budget=0.3)
    assert result.dispatched.sent == 0
    robots.slow = 0.0
    failed.minute = 17
    await failed.look()
    assert "feishu" in {robot for robot, _ in robots.taken}


async def test_a_message_taken_by_a_process_that_died_is_sent_by_another(
    failed: Story, robots: Robots
) -> None:
    await failed.look(budget=0.0)
    assert robots.taken == []
    await failed.record.run(
        "UPDATE alert_delivery SET due_at = %(at)s, attempts = 1",
        {"at": failed.at(17)},  # the lease of one that was killed while it sent
    )
    failed.minute = 16
    await failed.look()
    assert robots.taken == []
    failed.minute = 17
    await failed.look()
    assert len(robots.taken) == 2


async def test_twenty_a_minute_are_kept_among_processes(failed: Story, robots: Robots) -> None:
    """Nineteen messages went out by other processes: one more goes, and then no other."""
    await failed.look()
    [alert] = await failed.alerts()
    for second in range(18):  # and the one just sent
        await failed.record.run(
            """
                INSERT INTO alert_delivery
                    (alert_id, channel, kind, created_at, due_at, sent_at, attempts)
                VALUES (%(alert)s, 'feishu', 'opened', %(at)s, %(at)s, %(at)s, 1)
            """,
            {"alert": alert.id, "at": failed.at(15.1 + second / 100)},
        )
    failed.minute = 15.5
    for rule in ("quota_low", "credential_refused", "no_success"):
        await failed.record.run(
            """
                WITH opened AS (
                    INSERT INTO alert (rule, severity, mirror_id, subject, opened_at, seen_at,
                                       closed_at, details)
                    VALUES (%(rule)s, 'critical', NULL, 'x', %(at)s, %(at)s, %(at)s,
                            jsonb_build_object('since', CAST(%(at)s AS timestamptz)))
                    RETURNING id)
                INSERT INTO alert_delivery (alert_id, channel, kind, created_at, due_at)
                SELECT id, 'feishu', 'opened', %(at)s, %(at)s FROM opened
            """,
            {"rule": rule, "at": failed.now},
        )
    result = await failed.look(budget=1.0)
    assert result.dispatched.sent == 1
    failed.minute = 17
    result = await failed.look()
    assert result.dispatched.sent == 2


async def test_a_channel_that_is_no_more_is_given_up(failed: Story, robots: Robots) -> None:
    robots.away = True
    await failed.look()
    robots.away = False
    failed.settings = settings((dingtalk(robots),))
    failed.minute = 18
    await failed.look()
    rows = await failed.record.rows(
        "SELECT channel, gave_up_at IS NULL AS kept FROM alert_delivery ORDER BY channel"
    )
    assert [(row.channel, row.kept) for row in rows] == [("dingtalk", True), ("feishu", False)]
    assert [robot for robot, _ in robots.taken] == ["dingtalk"]


async def test_an_alert_of_a_mirror_that_is_no_more_closes_without_a_word(
    failed: Story, robots: Robots
) -> None:
    await failed.look()
    failed.settings = settings((dingtalk(robots), feishu(robots)), mirrors=("another",))
    failed.minute = 20
    await failed.look()
    assert await failed.open_alerts() == []
    assert len(robots.taken) == 2


async def test_no_secret_is_in_the_record(
    failed: Story, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINGTALK_SECRET", "a-wrong-secret")
    monkeypatch.setenv("FEISHU_TOKEN", "a-wrong-token")
    await failed.look()
    rows = await failed.record.rows("SELECT error FROM alert_delivery")
    errors = " ".join(row.error for row in rows)
    assert "310000" in errors
    assert "19001" in errors
    assert "a-wrong" not in errors


async def test_a_mail_that_some_recipients_got_is_not_sent_again(
    story: Story,
    server_tls: ssl.SSLContext,
    ca_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    mailbox = Mailbox(refused=("gone@example.com",))
    async with serve_mail(mailbox, implicit=server_tls, starttls=None):
        options = {
            "smtp": f"smtps://mirror%40example.com@localhost:{mailbox.port}",
            "password_env": "SMTP_PASSWORD",
            "sender": "mirror@example.com",
            "to": ["ops@example.com", "gone@example.com"],
            "ca_file": ca_file,
        }
        story.settings = settings(({"email": options},))
        await fail(story)
        result = await story.look()
        assert "gone@example.com: 550" in result.dispatched.failures["email"]
        story.minute = 20
        await story.look()
    assert mailbox.recipients == [["ops@example.com"]]
    [row] = await story.record.rows("SELECT sent_at, error FROM alert_delivery")
    assert row.sent_at is not None
    assert "gone@example.com: 550" in row.error
