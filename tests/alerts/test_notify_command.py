"""`mirror notify test`: a message arrives, or one line says why not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.cli import main
from tests.alerts.robots import TOKEN, Robots


@pytest.fixture
def config(tmp_path: Path, robots: Robots) -> Path:
    """A mirrors.yaml with DingTalk as its only channel."""
    path = tmp_path / "mirrors.yaml"
    path.write_text(
        f"""
mirrors:
  a: {{source: docker.io/newbe36524/hagicode, target: registry.example/hagicode}}
alerts:
  - dingtalk: {{token_env: DINGTALK_TOKEN, secret_env: DINGTALK_SECRET, url: "{robots.url}"}}
""",
        encoding="utf-8",
    )
    return path


async def mirror(*arguments: str) -> int:
    """Run `mirror` in a thread, so that the robots of this loop can answer; its exit status."""

    def run() -> int:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        return int(end.value.code or 0)

    return await asyncio.to_thread(run)


async def test_a_test_message_arrives(
    config: Path, robots: Robots, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await mirror("notify", "test", "dingtalk", "--config", str(config)) == 0
    [text] = robots.texts("dingtalk")
    assert "这是一条测试消息" in text
    assert "a test: alerts will be sent to this channel" in text
    assert capsys.readouterr().out == "dingtalk: sent\n"


async def test_a_channel_that_fails_is_one_line_and_status_1(
    config: Path, robots: Robots, capsys: pytest.CaptureFixture[str]
) -> None:
    robots.away = True
    assert await mirror("notify", "test", "dingtalk", "--config", str(config)) == 1
    error = capsys.readouterr().err
    assert error.startswith("mirror: dingtalk: ")
    assert "HTTP 502" in error
    assert error.count("\n") == 1
    assert TOKEN not in error


async def test_a_channel_that_is_not_there_is_status_2(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await mirror("notify", "test", "feishu", "--config", str(config)) == 2
    assert "unknown channel 'feishu'; known channels: dingtalk" in capsys.readouterr().err
