"""A history minute by minute, written with the recorder that the flows use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mirror.alerts import AlertRound, evaluate_and_dispatch
from mirror.config.channels import ChannelSettings
from mirror.config.settings import Settings
from mirror.history import MirrorRow, PostgresRecorder
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    Dropped,
    Plan,
    Reason,
    RunOutcome,
    RunStatus,
    SourceTag,
    TagFailure,
    TagStatus,
    TagTally,
    Trigger,
    Verification,
)

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # a Monday, 09:00 in Beijing
MIRROR = "hagicode-aliyun"


def digest(number: int) -> str:
    """A digest, the same for the same number."""
    return f"sha256:{number:064x}"


def settings(
    alerts: tuple[dict[str, Any], ...] = (),
    *,
    mirrors: tuple[str, ...] = (MIRROR,),
    **alerting: Any,
) -> Settings:
    """Settings with mirrors (every 30 min, goal 30 min), these channels and these rules."""
    return Settings.model_validate(
        {
            "mirrors": {
                name: {
                    "name": name,
                    "source": "docker.io/newbe36524/hagicode",
                    "target": f"registry.example.com/{name}/hagicode",
                }
                for name in mirrors
            },
            "alerts": [ChannelSettings.model_validate(entry) for entry in alerts],
            "alerting": alerting,
        }
    )


@dataclass
class Story:
    """Minutes from START on; `minute` is now."""

    record: PostgresRecorder
    settings: Settings
    minute: float = 0.0
    runs: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """The present moment of the story."""
        return self.at(self.minute)

    def at(self, minute: float) -> datetime:
        """A moment of the story."""
        return START + timedelta(minutes=minute)

    async def begin(self) -> None:
        """The mirror exists since the start."""
        for mirror in self.settings.mirrors.values():
            await self.record.ensure_mirror(
                MirrorRow(
                    mirror.name,
                    mirror.source,
                    mirror.target,
                    mirror.every,
                    mirror.watch_every,
                    mirror.delay_goal,
                )
            )
        await self.record.run(
            "UPDATE mirror SET created_at = %(at)s, followed_since = %(at)s", {"at": START}
        )

    async def sync(
        self,
        tags: Mapping[str, Reason | None] | None = None,
        *,
        number: int = 1,
        kind: ChangeKind = ChangeKind.NEW,
        pushed: float | None = None,
        whole: Reason | None = None,
        flow_run_id: str | None = None,
        dropped: tuple[Dropped, ...] = (),
        held: tuple[str, ...] = (),
        mirror: str = MIRROR,
    ) -> str:
        """A run now. Each of `tags` ends well or with its reason; `whole` fails the run itself."""
        record, tags, now = self.record, tags or {}, self.now
        run_id = await record.begin_run(mirror, Trigger.SCHEDULE, True, False, flow_run_id, now)
        pushed_at = None if pushed is None else self.at(pushed)
        known = await record.known_tags(mirror)
        changes = []
        for tag in (*tags, *held):
            old = known.get(tag)
            same = old is not None and old.source_digest == digest(number)
            began = old.detected_at if old and same and old.detected_at else now
            attempt = old.attempts + 1 if old and same else 1
            changes.append(
                Change(tag, tag, kind, digest(number), pushed_at, began, attempt=attempt)
            )
        source = tuple(SourceTag(change.tag, change.digest, pushed_at) for change in changes)
        plan = Plan(
            tuple(change for change in changes if change.tag in tags),
            0,
            held=tuple(change for change in changes if change.tag in held),
        )
        await record.discovered(run_id, mirror, Discovery(source, True, "tags_list"), plan, now)
        for change in plan.held:
            await record.tag_skipped(run_id, mirror, change, TagStatus.HELD, "immutable", now)
        errors = [] if whole is None else [TagFailure(None, whole, f"the run failed: {whole}")]
        for change in plan.changes:
            await record.tag_started(run_id, mirror, change, now)
            reason = tags[change.tag]
            failure = None
            if reason is not None:
                message = f"registry.example.com: {change.tag}: {reason}"
                failure = TagFailure(change.tag, reason, message)
                errors.append(failure)
            copied = CopyOutcome(
                change,
                now,
                now,
                target_digest=None if failure else change.digest,
                dropped=dropped,
                failure=failure,
            )
            seen = None if failure else Verification(change, now)
            await record.tag_ended(run_id, mirror, copied, seen)
        failed = sum(1 for reason in tags.values() if reason is not None)
        status = RunStatus.SUCCEEDED
        if whole is not None or (failed and failed == len(tags)):
            status = RunStatus.FAILED
        elif failed:
            status = RunStatus.PARTIAL
        tally = TagTally(len(changes), len(changes), len(tags) - failed, failed)
        await record.end_run(RunOutcome(mirror, run_id, status, tally, errors=tuple(errors)), now)
        self.runs.append(run_id)
        return run_id

    async def look(self, budget: float = 5.0) -> AlertRound:
        """One round of alerting now."""
        return await evaluate_and_dispatch(
            self.settings, self.record.url, clock=lambda: self.now, budget=budget
        )

    async def alerts(self, rule: str | None = None) -> list[Any]:
        """All alerts of the record, or a rule's, in the order in which they were opened."""
        rows = await self.record.rows(
            "SELECT * FROM alert WHERE rule = coalesce(%(rule)s, rule) ORDER BY id",
            {"rule": rule},
        )
        return list(rows)

    async def open_alerts(self, rule: str | None = None) -> list[str]:
        """Subjects of the alerts that are open."""
        return [row.subject for row in await self.alerts(rule) if row.closed_at is None]
