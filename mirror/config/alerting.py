"""The section `alerting:` of mirrors.yaml: severities, reminders and quiet hours of the rules.

The section is optional, and so is each of its keys.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from mirror.config.base import ConfigModel
from mirror.config.channels import Severity
from mirror.units import ClockTime, Duration, TimeZone


class AlertRule(StrEnum):
    """What alerts are about; the history keeps the values (alert.rule)."""

    TAG_FAILED = "tag_failed"
    RUN_FAILED = "run_failed"
    DELAY_GOAL = "delay_goal"
    NO_SUCCESS = "no_success"
    SCHEDULE_LATE = "schedule_late"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    DATABASE_AWAY = "database_away"
    SOURCE_LOST_TAGS = "source_lost_tags"
    DRIFT = "drift"
    IMMUTABLE_MOVED = "immutable_moved"
    QUOTA_LOW = "quota_low"
    CREDENTIAL_REFUSED = "credential_refused"
    CREDENTIAL_EXPIRING = "credential_expiring"
    ATTESTATIONS_DROPPED = "attestations_dropped"
    PULL_FAILURES = "pull_failures"


KNOWN_RULES: Final = frozenset(rule.value for rule in AlertRule)
"""A newer version, which may work on the same history, has others: its alerts are left to it."""

SEVERITIES = {
    AlertRule.TAG_FAILED: Severity.WARNING,
    AlertRule.RUN_FAILED: Severity.CRITICAL,
    AlertRule.DELAY_GOAL: Severity.WARNING,
    AlertRule.NO_SUCCESS: Severity.CRITICAL,
    AlertRule.SCHEDULE_LATE: Severity.CRITICAL,
    AlertRule.REGISTRY_UNREACHABLE: Severity.CRITICAL,
    AlertRule.DATABASE_AWAY: Severity.CRITICAL,
    AlertRule.SOURCE_LOST_TAGS: Severity.CRITICAL,
    AlertRule.DRIFT: Severity.WARNING,
    AlertRule.IMMUTABLE_MOVED: Severity.CRITICAL,
    AlertRule.QUOTA_LOW: Severity.WARNING,
    AlertRule.CREDENTIAL_REFUSED: Severity.CRITICAL,
    AlertRule.CREDENTIAL_EXPIRING: Severity.WARNING,
    AlertRule.ATTESTATIONS_DROPPED: Severity.INFO,
    AlertRule.PULL_FAILURES: Severity.WARNING,
}


class QuietHours(ConfigModel):
    """Hours of each day in which only critical alerts go out; the others wait until they end."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    timezone: TimeZone = "Asia/Shanghai"

    @model_validator(mode="after")
    def _not_always(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("from and to are the same time, which could mean no hours or all")
        return self

    def until(self, at: datetime) -> datetime:
        """When a message of that moment may go out: then, or when the quiet hours end."""
        zone = ZoneInfo(self.timezone)
        local = at.astimezone(zone)
        clock = local.time()
        over_midnight = self.start > self.end
        if over_midnight:
            quiet = clock >= self.start or clock < self.end
        else:
            quiet = self.start <= clock < self.end
        if not quiet:
            return at
        day = local.date()
        if over_midnight and clock >= self.start:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, zone).astimezone(at.tzinfo)


class RuleSettings(ConfigModel):
    """The severity and reminder interval of one rule."""

    enabled: bool = True
    severity: Severity | None = None
    repeat: Duration | None = None


class RepeatSettings(ConfigModel):
    """How often an open alert is repeated, by severity."""

    critical: Duration = timedelta(hours=4)
    warning: Duration = timedelta(days=1)
    info: Duration = timedelta(days=7)


class AlertingSettings(ConfigModel):
    """When rules hold, and how their alerts go out."""

    missed_runs: Annotated[int, Field(ge=1)] = 3  # intervals (`every`) without a successful run
    quota_low: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the quota
    pull_failures: Annotated[float, Field(ge=0, lt=1)] = 0.01  # share of a day's pulls
    pull_samples: Annotated[int, Field(ge=1)] = 20  # fewer pulls are not significant
    expires_within: Duration = timedelta(days=14)
    repeat: RepeatSettings = RepeatSettings()
    quiet_hours: QuietHours | None = None
    rules: dict[AlertRule, RuleSettings] = Field(default_factory=dict)

    def enabled(self, rule: AlertRule) -> bool:
        """Whether the rule is evaluated."""
        return self.rules.get(rule, RuleSettings()).enabled

    def severity(self, rule: AlertRule) -> Severity:
        """How urgent the rule's alerts are."""
        return self.rules.get(rule, RuleSettings()).severity or SEVERITIES[rule]

    def repeat_interval(self, rule: AlertRule) -> timedelta:
        """Time between two messages about an open alert."""
        own = self.rules.get(rule, RuleSettings()).repeat
        by_severity: timedelta = getattr(self.repeat, self.severity(rule).value)
        return own or by_severity

    def due(self, severity: Severity, at: datetime) -> datetime:
        """When a message written at that moment may go out."""
        if severity is Severity.CRITICAL or self.quiet_hours is None:
            return at
        return self.quiet_hours.until(at)
