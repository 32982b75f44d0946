"""Channels that alerts go out by: e-mail, DingTalk, Feishu, WeCom, and the rest by apprise.

    channels = open_channels(named(settings.alerts))
    await channels["dingtalk"].send(message, at=now)

Errors are those of mirror.alerts.channels.errors, rooted at NotifyError.
"""

from mirror.alerts.channels.channel import Channel, open_channels
from mirror.alerts.channels.errors import (
    NotConfigured,
    NotifyError,
    PartlyRefused,
    Refused,
    TooFast,
    Unreachable,
)
from mirror.alerts.channels.message import Event, Message

__all__ = [
    "Channel",
    "Event",
    "Message",
    "NotConfigured",
    "NotifyError",
    "PartlyRefused",
    "Refused",
    "TooFast",
    "Unreachable",
    "open_channels",
]
