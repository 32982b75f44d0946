"""Credentials of channels: read from the environment when a message is sent."""

from __future__ import annotations

import os

from mirror.alerts.channels.errors import NotConfigured
from mirror.outside_text import keep_secret


def secret(channel: str, variable: str) -> str:
    """The value of an environment variable, which is redacted from now on.

    Raises NotConfigured when it is unset or empty.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise NotConfigured(
            channel, f"the environment variable {variable} is not set; set it or remove the channel"
        )
    keep_secret(value)
    return value
