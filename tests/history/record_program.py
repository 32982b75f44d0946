"""Records the statements that this version of the program sends to the history, for later versions.

`python -m tests.history.record_program` at the end of a release writes tests/history/programs/
REVISION.json. test_older_programs.py replays it on newer schemas: a worker of that version, which
is still running while the schema is migrated, sends these statements.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from mirror.history.database.address import embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.database.migrate import upgrade
from mirror.history.database.revision import HEAD
from mirror.history.recording.recorder import PostgresRecorder
from mirror.history.recording.recorder_session import RecorderSession
from mirror.history.recording.rows import (
    AuditOutcome,
    FindingRow,
    MirrorRow,
    ProbePull,
    PullCounted,
    WatchRow,
)
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    PlacedBlob,
    Plan,
    Quota,
    Reason,
    RunOutcome,
    RunStatus,
    SourceTag,
    TagFailure,
    TagStatus,
    Trigger,
    Verification,
)

FOLDER = Path(__file__).parent / "programs"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MIRROR = MirrorRow(
    "app", "docker.io/a/app", "r.example/b/app", 1800 * SECOND, 120 * SECOND, 1800 * SECOND
)


@dataclass
class Recording:
    """Statements with their values, in their order."""

    statements: list[dict[str, Any]] = field(default_factory=list)

    def add(self, statement: str, values: Any, *, rows: bool) -> None:
        """Note a statement that is sent."""
        self.statements.append({"statement": statement, "values": encode(values), "rows": rows})


def encode(value: Any) -> Any:
    """A value as JSON, its type in the only key of an object where JSON has none."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if isinstance(value, UUID):
        return {"uuid": str(value)}
    if isinstance(value, Mapping):
        return {"values": {name: encode(each) for name, each in value.items()}}
    if isinstance(value, list | tuple):
        return [encode(each) for each in value]
    if hasattr(value, "isoformat"):
        return {"date": value.isoformat()}
    return value


async def scenario(url: str) -> None:
    """What a worker does with the history: runs of every kind, a watch, measurements."""
    async with PostgresRecorder.open(url) as recorder:
        await recorder.ensure_mirror(MIRROR)
        await recorder.ensure_mirror(MIRROR)
        run = await recorder.begin_run("app", Trigger.SCHEDULE, full=True, at=NOON)
        await recorder.close_abandoned("app", run, NOON)
        await recorder.known_tags("app")
        good, bad, held = (_change(tag, number) for tag, number in (("1", 1), ("2", 2), ("3", 3)))
        tags = tuple(SourceTag(each.tag, each.digest, NOON) for each in (good, bad, held))
        found = Discovery(tags, complete=True, via="hub_api")
        await recorder.discovered(run, "app", found, Plan((good, bad), 0, gone=("9",)), NOON)
        await recorder.holdings("r.example", "b/app")
        await recorder.abilities("r.example", "b/app")
        await recorder.holds_elsewhere("r.example", "b/app")
        for each in (good, bad):
            await recorder.tag_started(run, "app", each, NOON)
        copied = CopyOutcome(
            good, NOON, NOON, good.digest, placed=(PlacedBlob(_digest(9), 5),), lost=(_digest(8),)
        )
        await recorder.tag_ended(run, "app", copied, Verification(good, NOON))
        failure = TagFailure("2", Reason.NETWORK, "the connection broke")
        await recorder.tag_ended(run, "app", CopyOutcome(bad, NOON, NOON, failure=failure), None)
        await recorder.tag_skipped(run, "app", held, TagStatus.HELD, "immutable", NOON)
        await recorder.tag_skipped(run, "app", _change("4", 4), TagStatus.DELETED, "gone", NOON)
        await recorder.holders("r.example", [_digest(9)])
        await recorder.dropped_digests("app")
        await recorder.save_abilities("r.example", "b/app", {"mount": True})
        await recorder.add_quota(Quota("docker.io", None, 100, 50, 21600, NOON))
        await recorder.end_run(RunOutcome("app", run, RunStatus.PARTIAL, errors=(failure,)), NOON)
        await recorder.add_watch(WatchRow(NOON, NOON, ("app",)))
        await recorder.add_probes([ProbePull("app", NOON, "1", "target", well=True)])
        await recorder.add_pull_count(PullCounted("r.example/b/app", 7, NOON))
        finding = FindingRow("1", "missing_blob", "a blob is missing", repair=ChangeKind.MISSING)
        await recorder.add_audit(
            AuditOutcome("app", NOON, NOON, deep=False, tags=3, findings=(finding,))
        )


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _change(tag: str, number: int) -> Change:
    return Change(tag, tag, ChangeKind.NEW, _digest(number), NOON, NOON)


async def record(url: str) -> Recording:
    """The statements that the scenario sends."""
    recording = Recording()
    rows, run = RecorderSession.rows, RecorderSession.run

    async def noted_rows(self: RecorderSession, statement: str, values: Any = None) -> Any:
        recording.add(statement, values, rows=True)
        return await rows(self, statement, values)

    async def noted_run(self: RecorderSession, statement: str, values: Any) -> None:
        recording.add(statement, values, rows=False)
        await run(self, statement, values)

    RecorderSession.rows, RecorderSession.run = noted_rows, noted_run  # type: ignore[method-assign]
    try:
        await scenario(url)
    finally:
        RecorderSession.rows, RecorderSession.run = rows, run  # type: ignore[method-assign]
    return recording


def main() -> None:
    """Record on a new database."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "postgres")
        try:
            cluster.ensure_database("mirror")
            url = embedded_url("mirror", cluster)
            upgrade(url)
            recording = asyncio.run(record(url))
        finally:
            cluster.stop()
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(recording.statements, indent=1)
    (FOLDER / f"{HEAD}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
