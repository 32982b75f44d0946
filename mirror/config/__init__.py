"""mirrors.yaml, the environment and the credentials that they name, as frozen models."""

from mirror.config.alerting import KNOWN_RULES, AlertRule
from mirror.config.changes import settings_changed
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
from mirror.config.cosign_keys import CosignKey, CosignKeyError, load_cosign_keys
from mirror.config.credentials import SecretLoader, anonymous, endpoint, expires_at, require
from mirror.config.entries import EntrySettings
from mirror.config.json_schema import json_schema
from mirror.config.load import load_settings
from mirror.config.models import MirrorPolicy, MirrorSettings, RateLimitSettings
from mirror.config.settings import Settings
from mirror.config.shown import shown_settings, variables
from mirror.config.similar import did_you_mean

__all__ = [
    "KNOWN_RULES",
    "AlertRule",
    "AppriseOptions",
    "ChannelSettings",
    "CosignKey",
    "CosignKeyError",
    "DingTalkOptions",
    "EmailOptions",
    "EntrySettings",
    "FeishuOptions",
    "MirrorPolicy",
    "MirrorSettings",
    "RateLimitSettings",
    "SecretLoader",
    "Settings",
    "Severity",
    "WeComOptions",
    "anonymous",
    "did_you_mean",
    "endpoint",
    "expires_at",
    "json_schema",
    "load_cosign_keys",
    "load_settings",
    "named",
    "require",
    "settings_changed",
    "shown_settings",
    "variables",
]
