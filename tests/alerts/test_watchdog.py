"""`mirror watchdog` alerts about dead schedules with the database alone, and about its outage."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flows.cli import main
from mirror.alerts import Watchdog
from mirror.alerts.outage import PATIENCE
from mirror.outcome import utcnow
from tests.alerts.robots import Robots
from tests.alerts.story import MIRROR, Story, settings
from tests.alerts.test_alerts import dingtalk, feishu

NOWHERE = "postgresql://nobody:a-secret@127.0.0.1:1/nothing"


def write_config(path: Path, robots: Robots) -> Path:
    """A mirrors.yaml with the story's mirror and DingTalk."""
    path.write_text(
        f"""
mirrors:
  {MIRROR}:
    source: docker.io/newbe36524/hagicode
    target: registry.example.com/{MIRROR}/hagicode
alerts:
  - dingtalk: {{token_env: DINGTALK_TOKEN, secret_env: DINGTALK_SECRET, url: "{robots.url}"}}
""",
        encoding="utf-8",
    )
    return path


async def mirror(*arguments: str, url: str) -> asyncio.subprocess.Process:
    """The command as a separate process, with a Prefect server that is dead."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        *arguments,
        env={
            **os.environ,
            "MIRROR_DATABASE_URL": url,
            "PREFECT_API_URL": "http://127.0.0.1:1/api",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def silence(story: Story, hours: int = 2) -> None:
    """The mirror exists for two hours and has never run."""
    await story.record.run(
        "UPDATE mirror SET created_at = %(at)s, followed_since = %(at)s",
        {"at": utcnow() - timedelta(hours=hours)},
    )


async def test_a_cron_line_alerts_about_a_dead_schedule(
    story: Story, robots: Robots, url: str, tmp_path: Path
) -> None:
    await silence(story)
    config = write_config(tmp_path / "mirrors.yaml", robots)
    for _ in range(2):
        process = await mirror("watchdog", "--once", "--config", str(config), url=url)
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b""), err
    assert out == b"alerts: 0 opened, 0 repeated, 0 closed, 0 messages sent\n"
    [text] = robots.texts("dingtalk")
    assert "已有 4 个周期（每 30 分钟）没有成功的同步" in text


async def test_a_cron_line_ends_with_1_when_a_channel_does_not_answer(
    story: Story, robots: Robots, url: str, tmp_path: Path
) -> None:
    await silence(story)
    robots.away = True
    config = write_config(tmp_path / "mirrors.yaml", robots)
    process = await mirror("watchdog", "--once", "--config", str(config), url=url)
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.startswith(b"mirror: dingtalk: ")
    assert err.count(b"\n") == 1


async def test_the_process_looks_again_and_again_and_ends_when_asked_to(
    story: Story, robots: Robots, url: str, tmp_path: Path
) -> None:
    await silence(story, hours=0)
    config = write_config(tmp_path / "mirrors.yaml", robots)
    process = await mirror("watchdog", "--every", "1s", "--config", str(config), url=url)
    assert process.stdout is not None
    seen = b""
    while b"0 opened" not in seen:  # it says before that Prefect's server does not answer
        seen = await process.stdout.readline()
    await silence(story)
    while b"1 opened" not in seen:
        seen = await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0
    assert len(robots.texts("dingtalk")) == 1


async def test_a_round_of_the_watchdog_does_not_load_prefect(
    story: Story, robots: Robots, url: str, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "mirrors.yaml", robots)
    program = f"""
import sys
from flows.cli import main
try:
    main(["watchdog", "--once", "--config", {str(config)!r}])
except SystemExit as end:
    sys.exit(end.code or "prefect" in sys.modules)
"""
    environment = {**os.environ, "MIRROR_DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    assert await process.wait() == 0


async def test_an_outage_of_the_database_goes_directly_to_the_channels(
    story: Story, robots: Robots
) -> None:
    config = settings((dingtalk(robots), feishu(robots, severities=["warning"])))
    robots.wall = lambda: story.now.timestamp()
    watchdog = Watchdog(lambda: story.now, lambda: 60 * story.minute)
    for minute in range(PATIENCE + 2):
        story.minute = minute
        done = await watchdog.look(config, NOWHERE)
        assert "does not answer" in done.errors[0]
    [text] = [text for _, text in robots.taken]
    assert "无法访问记录数据库" in text
    assert "a-secret" not in text
    assert "**Since:** 2026-03-02 01:00 UTC" in text
    story.minute = 4 * 60 + PATIENCE
    await watchdog.look(config, NOWHERE)
    assert "仍未恢复" in robots.texts("dingtalk")[1]
    await watchdog.look(config, story.record.url)
    assert any("记录数据库恢复可用" in text for text in robots.texts("dingtalk"))
    taken = len(robots.taken)
    await watchdog.look(config, story.record.url)
    assert len(robots.taken) == taken


async def test_a_short_break_of_the_database_wakes_nobody(story: Story, robots: Robots) -> None:
    config = settings((dingtalk(robots),))
    watchdog = Watchdog(lambda: story.now, lambda: 60 * story.minute)
    for url in (NOWHERE, NOWHERE, story.record.url, NOWHERE):
        await watchdog.look(config, url)
    assert robots.taken == []


def test_an_invalid_interval_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["watchdog", "--every", "soon"])
    assert end.value.code == 2
    assert "'soon' is not a duration such as 30m" in capsys.readouterr().err
