"""`mirror notify test CHANNEL`: does a message arrive?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from mirror.alerts import Channel, Event, Message, open_channels
from mirror.config import Settings, Severity, did_you_mean, load_settings, named
from mirror.errors import ConfigError
from mirror.history import Bilingual
from mirror.outcome import utcnow

TEST = Bilingual(
    "这是一条测试消息，告警将从此渠道发出", "a test: alerts will be sent to this channel"
)
NOTHING = Bilingual("无需处理", "nothing")


@click.group(name="notify", help="Send test messages to the alert channels.")
def command() -> None:
    """The group of `mirror notify`."""


@command.command(name="test", help="Send a test message to CHANNEL of mirrors.yaml.")
@click.argument("channel")
@json_option("one object: channel, sent")
@config_option
def test(channel: str, config: Path | None, as_json: bool) -> None:
    """Exit 1 with one line when the channel refuses the message."""
    asyncio.run(_send(_channel(load_settings(config), channel)))
    click.echo(json.dumps({"channel": channel, "sent": True}) if as_json else f"{channel}: sent")


async def _send(channel: Channel) -> None:
    now = utcnow()
    await channel.send(Message(Event.TEST, Severity.INFO, TEST, NOTHING, since=now, at=now), now)


def _channel(settings: Settings, name: str) -> Channel:
    channels = open_channels(named(settings.alerts))
    if name not in channels:
        known = ", ".join(channels) or "none, add one below alerts"
        raise ConfigError(
            f"{settings.path}: unknown channel {name!r}{did_you_mean(name, channels)};"
            f" known channels: {known}"
        )
    return channels[name]
