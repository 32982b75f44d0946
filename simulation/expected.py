"""The alerts that follow from what happened, worked out without the history.

Causes open alerts (docs/alerts.md, "One cause, one alert"): a registry that does not answer or
refuses, runs or tags that fail for another reason, a database that is away. Everything else that
the rules find meanwhile is a consequence of one of them, but for a tag that arrived too late after
a time that was too short for an alert about its cause. So whatever the history holds beyond what is
worked out here is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mirror.config import MirrorSettings, Settings
from mirror.outcome import ChangeKind, RunStatus
from mirror.registry import Reference
from simulation.noted import RunNote, TagNote

_UNREACHABLE = ("network", "timeout", "server_error")
_GOOD = (RunStatus.SUCCEEDED, RunStatus.PARTIAL)
_NEVER = datetime.min.replace(tzinfo=UTC)
_PATIENCE = 3  # rounds of the watchdog without an answer
Key = tuple[str, str, str]  # rule, mirror or nothing, subject


@dataclass(frozen=True)
class Alert:
    """An alert. `closed_at` is None while it is open."""

    key: Key
    opened_at: datetime
    closed_at: datetime | None


@dataclass
class _Open:
    opened_at: datetime
    mirrors: set[str]


@dataclass
class Expected:
    """Follows the rounds of alerting, one after the other."""

    settings: Settings
    runs: Sequence[RunNote]
    alerts: list[Alert] = field(default_factory=list)
    _open: dict[Key, _Open] = field(default_factory=dict)
    _past: list[tuple[Key, _Open, datetime]] = field(default_factory=list)
    _before: datetime = _NEVER  # the round before

    def of(self, rounds: Sequence[datetime], unanswered: Sequence[datetime]) -> list[Alert]:
        """All alerts, in the order in which they opened."""
        for moment in sorted(set(rounds)):
            self._round(moment)
        self.alerts += [Alert(key, one.opened_at, None) for key, one in self._open.items()]
        self.alerts += _outages(sorted(rounds), sorted(unanswered))
        return sorted(self.alerts, key=lambda alert: (alert.opened_at, alert.key))

    def _round(self, now: datetime) -> None:
        found: dict[Key, set[str]] = {}
        for mirror in self.settings.mirrors.values():
            for key in self._causes(mirror, now):
                found.setdefault(key, set()).add(mirror.name)
        for mirror in self.settings.mirrors.values():
            for tag in self._late(mirror, now):
                found[("delay_goal", mirror.name, tag)] = {mirror.name}
        self._before = now
        for key in [key for key in self._open if key not in found]:
            closed = self._open.pop(key)
            self._past.append((key, closed, now))
            self.alerts.append(Alert(key, closed.opened_at, now))
        for key, mirrors in found.items():
            self._open.setdefault(key, _Open(now, set())).mirrors.update(mirrors)

    def _late(self, mirror: MirrorSettings, now: datetime) -> Iterator[str]:
        """Tags that arrived after the goal since the last round, and no alert said why."""
        runs = [run for run in self.runs if run.mirror == mirror.name]
        followed = min((run.started_at for run in runs), default=now)
        for name, tag in [tag for run in runs for tag in run.tags.items()]:
            if tag.failure or tag.at is None or not self._before < tag.at <= now:
                continue
            if tag.change.kind not in (ChangeKind.NEW, ChangeKind.MOVED):
                continue
            since = max(tag.change.pushed_at or tag.change.detected_at, followed)
            # Itself, and its release: another tag that fails says nothing about this one.
            same = {
                other
                for run in runs
                for other, one in run.tags.items()
                if one.change.digest == tag.change.digest
            }
            if tag.at - since > mirror.delay_goal and not self._said(mirror, same, since):
                yield name

    def _said(self, mirror: MirrorSettings, tags: set[str], since: datetime) -> bool:
        """Whether an alert was open, at any time from then on, that explains why a tag is late."""
        now_open = [(key, one, None) for key, one in self._open.items()]
        return any(
            mirror.name in one.mirrors
            and (closed is None or closed >= since)
            and (rule != "tag_failed" or subject in tags)
            for (rule, _, subject), one, closed in (*self._past, *now_open)
        )

    def _causes(self, mirror: MirrorSettings, now: datetime) -> Iterator[Key]:
        """The first of the causes that explains what fails."""
        runs = [run for run in self.runs if run.mirror == mirror.name and run.started_at <= now]
        ended = [run for run in runs if run.ended_at is not None and run.ended_at <= now]
        ended = [run for run in ended if run.reason != "lock"]
        good = [run.started_at for run in ended if run.status in _GOOD]
        bad = [run for run in ended if not good or run.started_at > max(good)]
        failing = _failing(runs, now)
        retries = self.settings.retry.times

        refused = [tag.message for tag, _ in failing.values() if tag.failure == "auth"]
        if ended and ended[-1].reason == "auth":
            refused.append(ended[-1].message)
        for message in refused:
            yield ("credential_refused", "", _host(message, mirror))

        away = [run for run in bad if run.reason != "server_error" or run.whole]
        down = len(away) > retries and away[-1].reason in _UNREACHABLE
        left_over = [
            tag
            for tag, since in failing.values()
            if tag.failure in _UNREACHABLE and since <= self._unreachable_since(mirror, now)
        ]
        if down or left_over:
            message = away[-1].message if down else max(tag.message for tag in left_over)
            yield ("registry_unreachable", "", _host(message, mirror))
        explained = {"auth"} if refused else set()
        explained |= set(_UNREACHABLE) if down or left_over else set()

        parts = [run.started_at for run in bad if not run.whole]
        whole = [run for run in bad if run.whole and (not parts or run.started_at > max(parts))]
        failed = len(whole) > retries
        if failed and whole[-1].reason not in explained:
            yield ("run_failed", mirror.name, "")
        for name, (tag, _) in failing.items():
            by_run = failed and whole[-1].reason == tag.failure
            known = ("tag_failed", mirror.name, name) in self._open
            tried = tag.change.attempt > retries or known
            if tried and tag.failure not in explained and not by_run:
                yield ("tag_failed", mirror.name, name)

    def _unreachable_since(self, mirror: MirrorSettings, now: datetime) -> datetime:
        """When an alert about a registry of this mirror was opened that is open; else never."""
        opened = [
            one.opened_at
            for (rule, _, _), one in self._open.items()
            if rule == "registry_unreachable" and mirror.name in one.mirrors
        ]
        return min(opened, default=_NEVER)


def _failing(runs: Sequence[RunNote], now: datetime) -> dict[str, tuple[TagNote, datetime]]:
    """Tags whose last try failed, with their first failure since they were last well."""
    found: dict[str, tuple[TagNote, datetime]] = {}
    tries = (
        (tag.at, name, tag)
        for run in runs
        for name, tag in run.tags.items()
        if tag.begun and tag.at is not None and tag.at <= now
    )
    for at, name, tag in sorted(tries, key=lambda one: one[0]):
        if tag.failure is None:
            found.pop(name, None)
        else:
            found[name] = (tag, found[name][1] if name in found else at)
    return found


def _host(message: str, mirror: MirrorSettings) -> str:
    hosts = (Reference.parse(side).registry for side in (mirror.source, mirror.target))
    places = {message.find(host): host for host in hosts if host in message}
    return places[min(places)] if places else ""


def _outages(rounds: Sequence[datetime], unanswered: Sequence[datetime]) -> Iterator[Alert]:
    """Outages that lasted for three rounds of the watchdog, until the first that was answered."""
    silent: list[datetime] = []
    for at, answered in sorted(
        [*((at, True) for at in rounds), *((at, False) for at in unanswered)]
    ):
        if not answered:
            silent.append(at)
        elif silent:
            if len(silent) >= _PATIENCE:
                yield Alert(("database_away", "", ""), silent[0], at)
            silent = []
