"""Severity, reminders and quiet hours as mirrors.yaml sets them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror.config import Settings, load_settings
from mirror.config.alerting import AlertingSettings, AlertRule, QuietHours
from mirror.config.channels import Severity
from mirror.errors import ConfigError

MIRRORS = """
mirrors:
  a: {source: docker.io/newbe36524/hagicode, target: registry.example/hagicode}
"""


def at(clock: str) -> datetime:
    """A moment of 1 March 2026 in UTC; Beijing is eight hours ahead."""
    hour, minute = clock.split(":")
    return datetime(2026, 3, 1, int(hour), int(minute), tzinfo=UTC)


def load(tmp_path: Path, more: str) -> Settings:
    """Settings of a mirrors.yaml with these further lines."""
    path = tmp_path / "mirrors.yaml"
    path.write_text(MIRRORS + more, encoding="utf-8")
    return load_settings(path)


def test_the_channels_of_the_contract_are_understood(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
alerts:
  - dingtalk: {token_env: DINGTALK_TOKEN, secret_env: DINGTALK_SECRET, url: https://oapi.dingtalk.com}
  - feishu: {token_env: FEISHU_TOKEN, secret_env: FEISHU_SECRET, url: https://open.feishu.cn}
  - wecom: {key_env: WECOM_KEY, url: https://qyapi.weixin.qq.com}
  - email: {smtp: "smtps://user@mail.example.com:465", password_env: SMTP_PASSWORD,
            sender: mirror@example.com, to: [ops@example.com]}
  - apprise: {url_env: APPRISE_URL}
    severities: [critical]
    mirrors: [a]
""",
    )
    kinds = [entry.kind for entry in settings.alerts]
    assert kinds == ["dingtalk", "feishu", "wecom", "email", "apprise"]
    assert settings.alerts[4].mirrors == ("a",)


def test_rules_that_mirrors_yaml_does_not_mention_have_defaults(tmp_path: Path) -> None:
    alerting = load(tmp_path, "").alerting
    assert alerting.missed_runs == 3
    assert alerting.severity(AlertRule.NO_SUCCESS) is Severity.CRITICAL
    assert alerting.repeat_interval(AlertRule.NO_SUCCESS) == timedelta(hours=4)
    assert all(alerting.enabled(rule) for rule in AlertRule)


def test_a_rule_may_have_its_own_severity_and_interval(tmp_path: Path) -> None:
    alerting = load(
        tmp_path,
        """
alerting:
  missed_runs: 2
  repeat: {warning: 12h}
  rules:
    drift: {severity: critical, repeat: 90m}
    attestations_dropped: {enabled: false}
""",
    ).alerting
    assert alerting.severity(AlertRule.DRIFT) is Severity.CRITICAL
    assert alerting.repeat_interval(AlertRule.DRIFT) == timedelta(minutes=90)
    assert alerting.repeat_interval(AlertRule.TAG_FAILED) == timedelta(hours=12)
    assert not alerting.enabled(AlertRule.ATTESTATIONS_DROPPED)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            "alerts: [{dingtalk: {token: abc}}]",
            "alerts.0.dingtalk.token: unknown key; allowed: url",
        ),
        ("alerts: [{pager: {}}]", "alerts.0: an entry names exactly one channel: dingtalk, feishu"),
        ("alerts: [{wecom: {key_env: K}, mirrors: [b]}]", "no mirror is named 'b'; there are: a"),
        ("alerting: {rules: {noise: {}}}", "alerting.rules.noise"),
        ("alerting: {quiet: {}}", "alerting.quiet: unknown key; allowed: missed_runs"),
        (
            "alerting: {quiet_hours: {from: '22:00', until: '08:00'}}",
            "alerting.quiet_hours.until: unknown key; allowed: from, to, timezone",
        ),
        (
            "alerting: {quiet_hours: {from: '22:00', to: '08:00', timezone: Mars}}",
            "'Mars' is not a time zone such as Asia/Shanghai",
        ),
        ("alerting: {repeat: {critical: soon}}", "'soon' is not a duration such as 30m"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, more: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, more)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("13:59", "13:59"),  # 21:59 in Beijing
        ("14:00", "24:00"),  # 22:00: until 08:00, midnight in UTC
        ("20:00", "24:00"),  # 04:00 of the next day there
        ("00:00", "00:00"),  # 08:00
    ],
)
def test_quiet_hours_over_midnight_end_the_next_morning(moment: str, due: str) -> None:
    hours = QuietHours.model_validate({"from": "22:00", "to": "08:00"})
    end = at("00:00") + timedelta(days=1) if due == "24:00" else at(due)
    assert hours.until(at(moment)) == end


def test_quiet_hours_within_a_day_end_that_day() -> None:
    hours = QuietHours.model_validate({"from": "12:00", "to": "14:00", "timezone": "UTC"})
    assert hours.until(at("11:59")) == at("11:59")
    assert hours.until(at("12:00")) == at("14:00")
    assert hours.until(at("14:00")) == at("14:00")


def test_hours_written_without_quotes_are_hours(tmp_path: Path) -> None:
    quiet = load(tmp_path, "alerting: {quiet_hours: {from: 22:30, to: 08:00}}").alerting.quiet_hours
    assert quiet is not None
    assert f"{quiet.start:%H:%M} {quiet.end:%H:%M}" == "22:30 08:00"


def test_only_critical_messages_go_out_during_quiet_hours() -> None:
    alerting = AlertingSettings.model_validate(
        {"quiet_hours": {"from": "22:00", "to": "08:00", "timezone": "UTC"}}
    )
    assert alerting.due(Severity.CRITICAL, at("23:00")) == at("23:00")
    assert alerting.due(Severity.WARNING, at("23:00")) == at("08:00") + timedelta(days=1)
