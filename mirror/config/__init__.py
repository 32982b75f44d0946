"""mirrors.yaml, the environment and the credentials that they name, as frozen models."""

from mirror.config.alerting import Rule
from mirror.config.channels import (
    AppriseOptions,
    ChannelSettings,
    DingTalkOptions,
    EmailOptions,
    FeishuOptions,
    Severity,
    WeComOptions,
    named,
)
from mirror.config.credentials import SecretLoader, anonymous, endpoint, expires_at, require
from mirror.config.models import MirrorSettings, RateLimitSettings
from mirror.config.settings import Settings, load_settings

__all__ = [
    "AppriseOptions",
    "ChannelSettings",
    "DingTalkOptions",
    "EmailOptions",
    "FeishuOptions",
    "MirrorSettings",
    "RateLimitSettings",
    "Rule",
    "SecretLoader",
    "Settings",
    "Severity",
    "WeComOptions",
    "anonymous",
    "endpoint",
    "expires_at",
    "load_settings",
    "named",
    "require",
]
