"""Secrets in the variables that mirrors.yaml names: redacted from its reading on, not first use."""

from __future__ import annotations

import os

from mirror.config.settings import Settings
from mirror.outside_text import keep_login, keep_secret, keep_url


def keep_named_secrets(settings: Settings) -> None:
    """Redact what the variables of registries, alert channels and hooks hold."""
    for entry in settings.registries.values():
        user = entry.username or _value(entry.username_env)
        keep_login(user.rstrip("\r\n"), _value(entry.password_env).rstrip("\r\n"))
    for channel in settings.alerts:
        options = getattr(channel, channel.kind)
        for key in type(options).model_fields:
            if key.endswith("_env"):
                value = _value(getattr(options, key))
                keep_secret(value, value.strip())
                keep_url(value)
    if settings.hooks is not None:
        secret = _value(settings.hooks.secret_env)
        keep_secret(secret, secret.strip())


def _value(name: str | None) -> str:
    return os.environ.get(name, "") if name else ""
