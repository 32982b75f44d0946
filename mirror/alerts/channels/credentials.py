"""Credentials of channels: read from the environment when a message is sent, never kept."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mirror.alerts.channels.errors import NotConfigured

HIDDEN = "***"


def secret(channel: str, variable: str) -> str:
    """The value of an environment variable.

    Raises NotConfigured when it is unset or empty.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise NotConfigured(
            channel, f"the environment variable {variable} is not set; set it or remove the channel"
        )
    return value


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret hidden; longer ones first, so that no part of one remains."""
    for value in sorted(secrets, key=len, reverse=True):
        if value:
            text = text.replace(value, HIDDEN)
    return text
