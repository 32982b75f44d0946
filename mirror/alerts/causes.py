"""One cause, one alert: what a cause explains is named in its alert instead of opening others.

A registry that refuses a credential fails runs, tags and goals of every mirror that uses it. The
rules find each of them; here they become one finding, with the others as its consequences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mirror.alerts.alert_finding import AlertFinding
from mirror.config import AlertRule, Settings
from mirror.outcome import Reason
from mirror.registry import Reference

WATCH = "watch"  # the subject of schedule_late that explains every other late schedule
SETTLING = timedelta(minutes=10)  # after an outage of the database, besides an interval

# Of a registry rather than a mirror: one finding a registry, whichever mirrors use it.
_BY_REGISTRY = (AlertRule.CREDENTIAL_REFUSED, AlertRule.REGISTRY_UNREACHABLE)
# From the cause to the consequence: a finding is explained by the first of them that can.
_CAUSES = (
    AlertRule.SCHEDULE_LATE,
    AlertRule.CREDENTIAL_REFUSED,
    AlertRule.REGISTRY_UNREACHABLE,
    AlertRule.QUOTA_LOW,
    AlertRule.SOURCE_LOST_TAGS,
    AlertRule.RUN_FAILED,
    AlertRule.TAG_FAILED,
    AlertRule.NO_SUCCESS,
)
_REASONS = {
    AlertRule.CREDENTIAL_REFUSED: {Reason.AUTH},
    AlertRule.REGISTRY_UNREACHABLE: {Reason.NETWORK, Reason.TIMEOUT, Reason.SERVER_ERROR},
    AlertRule.QUOTA_LOW: {Reason.QUOTA, Reason.THROTTLED},
    AlertRule.SOURCE_LOST_TAGS: {Reason.SUSPICIOUS},
}
_EXPLAINED = {
    AlertRule.RUN_FAILED,
    AlertRule.TAG_FAILED,
    AlertRule.NO_SUCCESS,
    AlertRule.DELAY_GOAL,
}
_BY_SILENCE = (AlertRule.SCHEDULE_LATE, AlertRule.NO_SUCCESS, AlertRule.DELAY_GOAL)
Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Causes:
    """Findings without those that another explains."""

    findings: tuple[AlertFinding, ...]
    explained: Mapping[Key, AlertFinding]  # the cause of each that was left out
    settling: frozenset[Key] = frozenset()  # findings that open no alert yet


def by_cause(
    findings: Iterable[AlertFinding], settings: Settings, back_at: datetime | None = None
) -> Causes:
    """Fold findings into their causes, which list them in `details.consequences`.

    `back_at` is when an outage of the database ended, if it may still explain findings: nothing
    could be recorded meanwhile, so schedules look late and goals missed.
    """
    merged = _Merged(findings, settings)
    root: dict[Key, AlertFinding] = {}
    for finding in merged.findings:
        causes = (
            cause
            for rule in _CAUSES
            for cause in merged.of(rule, finding.details.mirrors)
            if cause.key != finding.key and _explains(cause, finding, settings)
        )
        if cause := next(causes, None):
            root[finding.key] = cause
    explained = {key: _last(cause, root) for key, cause in root.items()}
    consequences: dict[Key, list[AlertFinding]] = defaultdict(list)
    for finding in merged.findings:
        if cause := explained.get(finding.key):
            consequences[cause.key].append(finding)
    whole = {
        finding.key: _with(finding, consequences[finding.key])
        for finding in merged.findings
        if finding.key not in explained
    }
    same = {key: merged.by_key[into] for key, into in merged.into.items()}
    found = {
        key: whole[explained.get(cause.key, cause).key]
        for key, cause in {**same, **explained}.items()
    }
    unsettled = (
        key
        for key, finding in whole.items()
        if back_at and finding.rule in _BY_SILENCE and finding.details.since <= back_at
    )
    return Causes(tuple(whole.values()), found, frozenset(unsettled))


def settling(settings: Settings) -> timedelta:
    """How long after an outage of the database its consequences may take to end by themselves."""
    every = (mirror.every for mirror in settings.mirrors.values())
    return SETTLING + max(every, default=timedelta())


def registry_of(finding: AlertFinding, settings: Settings) -> str | None:
    """The registry that a finding's error names first, of those that its mirrors use."""
    if finding.rule in (*_BY_REGISTRY, AlertRule.QUOTA_LOW) and finding.mirror_id is None:
        return finding.subject.partition(" ")[0]
    error = finding.details.error or ""
    places = {
        error.find(registry): registry
        for name in finding.details.mirrors
        if name in settings.mirrors
        for registry in _registries(settings, name)
        if registry in error
    }
    return places[min(places)] if places else None


class _Merged:
    """The findings, those of one registry as one."""

    def __init__(self, findings: Iterable[AlertFinding], settings: Settings) -> None:
        together: dict[Key, list[AlertFinding]] = defaultdict(list)
        self.into: dict[Key, Key] = {}
        for finding in findings:
            registry = registry_of(finding, settings) if finding.rule in _BY_REGISTRY else None
            if registry is None and finding.rule is AlertRule.REGISTRY_UNREACHABLE:
                continue  # what failed says so itself
            key = finding.key if registry is None else (finding.rule.value, 0, registry)
            together[key].append(_named(finding, registry, settings))
            if key != finding.key:
                self.into[finding.key] = key
        self.findings = [_one(key, same) for key, same in together.items()]
        self.by_key = {finding.key: finding for finding in self.findings}
        # By mirror: of a thousand mirrors each would else be compared with all others.
        self._places: dict[tuple[AlertRule, str], list[int]] = defaultdict(list)
        for at, finding in enumerate(self.findings):
            for mirror in finding.details.mirrors:
                self._places[finding.rule, mirror].append(at)

    def of(self, rule: AlertRule, mirrors: Iterable[str]) -> list[AlertFinding]:
        """The findings of a rule about any of these mirrors, in order."""
        found = {at for mirror in mirrors for at in self._places.get((rule, mirror), ())}
        return [self.findings[at] for at in sorted(found)]


def _named(finding: AlertFinding, registry: str | None, settings: Settings) -> AlertFinding:
    """A finding about a registry with its name, or with both that it may be about."""
    if finding.rule not in _BY_REGISTRY:
        return finding
    names = (
        side
        for name in finding.details.mirrors
        if name in settings.mirrors
        for side in _registries(settings, name)
    )
    facts = {**finding.details.facts, "registry": registry or " / ".join(dict.fromkeys(names))}
    return replace(finding, details=finding.details.model_copy(update={"facts": facts}))


def _one(key: Key, same: Sequence[AlertFinding]) -> AlertFinding:
    first = same[0]
    if key == first.key:
        return first
    details = first.details.model_copy(
        update={
            "since": min(each.details.since for each in same),
            "mirrors": tuple(dict.fromkeys(m for each in same for m in each.details.mirrors)),
            "tags": tuple(dict.fromkeys(tag for each in same for tag in each.details.tags)),
            "facts": {**first.details.facts, "runs": max(_runs(each) for each in same)},
        }
    )
    return AlertFinding(first.rule, None, key[2], details)


def _explains(cause: AlertFinding, finding: AlertFinding, settings: Settings) -> bool:
    if not set(cause.details.mirrors) & set(finding.details.mirrors):
        return False
    if cause.rule is AlertRule.SCHEDULE_LATE:
        if finding.rule is AlertRule.SCHEDULE_LATE:
            return cause.subject == WATCH
        silent = finding.details.reason is None and finding.rule is AlertRule.DELAY_GOAL
        return silent or finding.rule is AlertRule.NO_SUCCESS
    if finding.rule not in _EXPLAINED or _rank(cause) >= _rank(finding):
        return False
    if cause.rule is AlertRule.TAG_FAILED and finding.rule is AlertRule.DELAY_GOAL:
        return cause.subject in (finding.subject, finding.details.facts.get("waits_for"))
    if finding.details.reason is None:
        return cause.rule in (AlertRule.QUOTA_LOW, AlertRule.NO_SUCCESS) or _runs(cause) > 0
    if finding.details.reason not in _REASONS.get(cause.rule, {cause.details.reason}):
        return False
    where, registry = registry_of(finding, settings), registry_of(cause, settings)
    return where is None or registry is None or where == registry


def _rank(finding: AlertFinding) -> int:
    return _CAUSES.index(finding.rule) if finding.rule in _CAUSES else len(_CAUSES)


def _runs(finding: AlertFinding) -> int:
    """How many whole runs the cause has failed."""
    return int(finding.details.facts.get("runs") or 0)


def _last(cause: AlertFinding, root: Mapping[Key, AlertFinding]) -> AlertFinding:
    while further := root.get(cause.key):
        cause = further
    return cause


def _with(cause: AlertFinding, consequences: Sequence[AlertFinding]) -> AlertFinding:
    if not consequences:
        return cause
    named: dict[str, tuple[str, ...]] = {}
    for finding in consequences:
        subject = ":".join((*finding.details.mirrors[:1], *filter(None, [finding.subject])))
        named[finding.rule.value] = (*named.get(finding.rule.value, ()), subject)
    tags = (tag for each in (cause, *consequences) for tag in each.details.tags)
    mirrors = (name for each in (cause, *consequences) for name in each.details.mirrors)
    details = cause.details.model_copy(
        update={
            "consequences": named,
            "tags": tuple(dict.fromkeys(tags)),
            "mirrors": tuple(dict.fromkeys(mirrors)),
        }
    )
    return replace(cause, details=details)


def _registries(settings: Settings, mirror: str) -> tuple[str, ...]:
    sides = settings.mirrors[mirror].source, settings.mirrors[mirror].target
    return tuple(Reference.parse(side).registry for side in sides)
