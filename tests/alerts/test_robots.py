"""Messages to DingTalk, Feishu and WeCom arrive, and failures are seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from mirror.alerts.channels.channel import Channel
from mirror.alerts.channels.dingtalk import DingTalk
from mirror.alerts.channels.errors import NotConfigured, Refused, TooFast, Unreachable
from mirror.alerts.channels.feishu import Feishu
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.wecom import WeCom
from mirror.config.channels import DingTalkOptions, FeishuOptions, WeComOptions
from mirror.outcome import utcnow
from tests.alerts.robots import SECRET, TOKEN, Robots

NAMES = ("dingtalk", "feishu", "wecom")
MakeMessage = Callable[..., Message]


def channel(
    kind: str, url: str, *, form: str = "markdown", limiter: MessageLimiter | None = None
) -> Channel:
    """One of the three robots' channels, signing where the robot knows signatures."""
    if kind == "dingtalk":
        return DingTalk(
            kind,
            DingTalkOptions.model_validate(
                {
                    "url": url,
                    "token_env": "DINGTALK_TOKEN",
                    "secret_env": "DINGTALK_SECRET",
                    "format": form,
                }
            ),
            limiter,
        )
    if kind == "feishu":
        return Feishu(
            kind,
            FeishuOptions(url=url, token_env="FEISHU_TOKEN", secret_env="FEISHU_SECRET"),
            limiter,
        )
    options = {"url": url, "key_env": "WECOM_KEY", "format": form}
    return WeCom(kind, WeComOptions.model_validate(options), limiter)


@pytest.mark.parametrize("kind", NAMES)
async def test_a_message_arrives_in_chinese_and_english(
    kind: str, robots: Robots, message: MakeMessage
) -> None:
    await channel(kind, robots.url).send(message(), utcnow())
    [text] = robots.texts(kind)
    for part in (
        "标签重试后仍同步失败",
        "tags still fail after their retries",
        "2026-03-01 12:00（北京时间）",
        "2026-03-01 04:00 UTC",
        "hagicode-aliyun",
        "0.1.0-beta.78",
        "凭据被拒绝",
        "credential refused",
        "检查目标仓库的凭据",
        "check the target's credential",
        "http://127.0.0.1:4200/runs/flow-run/7b1d",
    ):
        assert part in text


@pytest.mark.parametrize("kind", ["dingtalk", "wecom"])
async def test_a_group_may_ask_for_plain_text(
    kind: str, robots: Robots, message: MakeMessage
) -> None:
    await channel(kind, robots.url, form="text").send(message(), utcnow())
    assert "**" not in robots.texts(kind)[0]
    assert "标签重试后仍同步失败" in robots.texts(kind)[0]


@pytest.mark.parametrize(("kind", "code"), [("dingtalk", "310000"), ("feishu", "19021")])
async def test_a_wrong_secret_is_an_error_that_does_not_show_it(
    kind: str, code: str, robots: Robots, message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{kind.upper()}_SECRET", "not-the-secret")
    with pytest.raises(Refused, match=f"{code}.*check the secret") as refused:
        await channel(kind, robots.url).send(message(), utcnow())
    assert "not-the-secret" not in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert robots.taken == []


@pytest.mark.parametrize("kind", NAMES)
async def test_http_200_with_a_failing_code_is_a_failure(
    kind: str, robots: Robots, message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WECOM_KEY" if kind == "wecom" else f"{kind.upper()}_TOKEN", "an-old-token")
    with pytest.raises(Refused, match=r"the robot refused the message") as refused:
        await channel(kind, robots.url).send(message(), utcnow())
    assert "an-old-token" not in str(refused.value)


@pytest.mark.parametrize("kind", NAMES)
async def test_an_unset_variable_is_named(
    kind: str, robots: Robots, message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "WECOM_KEY" if kind == "wecom" else f"{kind.upper()}_TOKEN"
    monkeypatch.delenv(variable)
    with pytest.raises(NotConfigured, match=f"^{kind}: .*{variable} is not set"):
        await channel(kind, robots.url).send(message(), utcnow())
    assert robots.asked == 0


@pytest.mark.parametrize("kind", NAMES)
async def test_the_thirtieth_message_within_a_minute_still_arrives(
    kind: str, robots: Robots, message: MakeMessage
) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    robots.clock = lambda: now
    target = channel(
        kind,
        robots.url,
        limiter=MessageLimiter(limit=20, period=60.0, clock=lambda: now, sleep=sleep),
    )
    for _ in range(30):
        await target.send(message(), utcnow())
    assert len(robots.texts(kind)) == 30
    assert now == 60.0


@pytest.mark.parametrize("kind", NAMES)
async def test_a_robot_that_others_write_to_as_well_says_too_fast(
    kind: str, robots: Robots, message: MakeMessage
) -> None:
    for _ in range(20):
        await channel(kind, robots.url).send(message(), utcnow())
    with pytest.raises(TooFast) as too_fast:
        await channel(kind, robots.url).send(message(), utcnow())
    assert too_fast.value.retry_after == 60.0


@pytest.mark.parametrize(("form", "limit"), [("text", 2048), ("markdown", 4096)])
async def test_wecom_gets_a_long_message_within_its_bytes(
    form: str, limit: int, robots: Robots, message: MakeMessage
) -> None:
    many = tuple(f"0.1.0-beta.{number}-{'很长' * 20}" for number in range(300))
    await channel("wecom", robots.url, form=form).send(
        message(tags=many, errors=("错误" * 200,) * 3), utcnow()
    )
    [text] = robots.texts("wecom")
    assert limit * 0.8 < len(text.encode()) <= limit
    assert "等 300 个" in text
    assert "http://127.0.0.1:4200/runs/flow-run/7b1d" in text


@pytest.mark.parametrize("kind", NAMES)
async def test_no_log_of_any_level_holds_a_token(
    kind: str, robots: Robots, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await channel(kind, robots.url).send(message(), utcnow())
    assert "HTTP Request: POST" in caplog.text
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", NAMES)
async def test_a_gateway_that_is_down_is_an_error_in_one_line(
    kind: str, robots: Robots, message: MakeMessage
) -> None:
    robots.away = True
    with pytest.raises(Refused, match=r"answered HTTP 502; check") as refused:
        await channel(kind, robots.url).send(message(), utcnow())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", NAMES)
async def test_a_closed_port_is_an_error_that_does_not_show_the_token(
    kind: str, message: MakeMessage, robots: Robots
) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(Unreachable, match=rf"http://127.0.0.1:{port}/ cannot be reached") as error:
        await channel(kind, f"http://127.0.0.1:{port}").send(message(), utcnow())
    assert TOKEN not in str(error.value)


async def test_a_robot_that_does_not_answer_is_given_up_in_time(
    robots: Robots, message: MakeMessage
) -> None:
    robots.slow = 0.6
    with pytest.raises(Unreachable, match=r"did not answer within 0.2 s"):
        await channel("dingtalk", robots.url).send(message(), utcnow(), timeout=0.2)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_used(
    variable: str, message: MakeMessage, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.get_running_loop().create_future()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set_result((await reader.readline()).decode())
        body = b'{"errcode": 0}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    async with server:
        await channel("wecom", "http://robots.example").send(message(), utcnow())
    assert (await asked).startswith("POST http://robots.example/cgi-bin/webhook/send?key=")


async def test_a_proxy_of_a_kind_that_does_not_work_is_named(
    message: MakeMessage, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "socks5://user:a-password@127.0.0.1:1080")
    with pytest.raises(
        NotConfigured, match=r"is not http://host:port.* correct HTTP_PROXY"
    ) as error:
        await channel("wecom", "http://robots.example").send(message(), utcnow())
    assert "a-password" not in str(error.value)
