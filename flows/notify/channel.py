"""The channels of mirrors.yaml, ready to send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from flows.notify.dingtalk import DingTalk
from flows.notify.elsewhere import Elsewhere
from flows.notify.feishu import Feishu
from flows.notify.mail import Email
from flows.notify.message import Message
from flows.notify.options import ChannelSettings
from flows.notify.pace import Pace
from flows.notify.robot import TIMEOUT
from flows.notify.wecom import WeCom


class Channel(Protocol):
    """Somewhere that messages go."""

    name: str
    pace: Pace

    async def send(self, message: Message, at: datetime, timeout: float = TIMEOUT) -> None:
        """Send one message within `timeout` seconds. Raises NotifyError."""


def open_channels(entries: Mapping[str, ChannelSettings]) -> dict[str, Channel]:
    """One channel for each entry, by name. Reads no credential yet."""
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
        return Elsewhere(name, entry.apprise)
    raise ValueError(f"{name}: names no channel")  # ChannelSettings lets none through
