"""The channels of mirrors.yaml, ready to send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from mirror.alerts.channels.apprise_channel import AppriseChannel
from mirror.alerts.channels.dingtalk import DingTalk
from mirror.alerts.channels.feishu import Feishu
from mirror.alerts.channels.mail import Email
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.robot import TIMEOUT
from mirror.alerts.channels.wecom import WeCom
from mirror.config import ChannelSettings


class Channel(Protocol):
    """Somewhere that messages go."""

    name: str
    limiter: MessageLimiter

    async def send(self, message: Message, at: datetime, timeout: float = TIMEOUT) -> None:
        """Send one message within `timeout` seconds. Raises NotifyError."""


def open_channels(entries: Mapping[str, ChannelSettings]) -> dict[str, Channel]:
    """A channel for each entry, by name. Credentials are read only when a message is sent."""
    return {name: _channel(name, entry) for name, entry in entries.items()}


def _channel(name: str, entry: ChannelSettings) -> Channel:
    if entry.dingtalk is not None:
        return DingTalk(name, entry.dingtalk)
    if entry.feishu is not None:
        return Feishu(name, entry.feishu)
    if entry.wecom is not None:
        return WeCom(name, entry.wecom)
    if entry.email is not None:
        return Email(name, entry.email)
    if entry.apprise is not None:
        return AppriseChannel(name, entry.apprise)
    raise ValueError(f"{name}: names no channel")  # ChannelSettings rejects it
