"""Channels that carry alerts: e-mail, DingTalk, Feishu, WeCom, and others through apprise.

    channels = open_channels(named(settings.alerts))
    await channels["dingtalk"].send(message, at=now)

Errors are drawn in mirror/alerts/channels/errors.py; their root is NotifyError.
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
