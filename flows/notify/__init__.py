"""Channels that alerts go out by: e-mail, DingTalk, Feishu, WeCom, and the rest by apprise.

    channels = open_channels(named(settings.alerts))
    await channels["dingtalk"].send(message, at=now)

Errors are those of flows.notify.errors, rooted at NotifyError.
"""

from flows.notify.channel import Channel, open_channels
from flows.notify.errors import (
    NotConfigured,
    NotifyError,
    PartlyRefused,
    Refused,
    TooFast,
    Unreachable,
)
from flows.notify.message import Event, Message, Severity, Words
from flows.notify.options import ChannelSettings, named

__all__ = [
    "Channel",
    "ChannelSettings",
    "Event",
    "Message",
    "NotConfigured",
    "NotifyError",
    "PartlyRefused",
    "Refused",
    "Severity",
    "TooFast",
    "Unreachable",
    "Words",
    "named",
    "open_channels",
]
