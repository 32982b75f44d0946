"""Prefect artifacts of a sync: a view of the history for Prefect's UI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from mirror.outcome import CopyOutcome, RunOutcome
from mirror.sync import SyncProgress

_ROWS = 200
_FIRST_PROGRESS = 2.0  # seconds; most runs end before and need no progress artifact
_PROGRESS_SECONDS = 3.0


def key(*parts: str) -> str:
    """An artifact key of lower-case letters, digits and dashes, the same in every run."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


async def publish_run(outcome: RunOutcome, copied: Sequence[CopyOutcome]) -> None:
    """A Markdown summary of the run, and a table of its tags."""
    await asyncio.gather(
        acreate_markdown_artifact(
            key=key("sync", outcome.mirror),
            markdown=_markdown(outcome),
            description=f"Last sync of {outcome.mirror}",
        ),
        acreate_table_artifact(
            key=key("sync", outcome.mirror, "tags"),
            table=_rows(copied),
            description=f"Tags of the last sync of {outcome.mirror}",
        ),
    )


def _markdown(outcome: RunOutcome) -> str:
    tags, blobs, seconds = outcome.tags, outcome.blobs, outcome.seconds
    lines = [
        f"# {outcome.mirror}: {outcome.status.value}",
        "",
        f"Run `{outcome.run_id}`" + (" (dry run)" if outcome.dry_run else ""),
        "",
        "| | |",
        "|---|---|",
        f"| tags | {tags.discovered} seen, {tags.changed} changed, {tags.copied} copied,"
        f" {tags.failed} failed |",
        f"| blobs | {blobs.copied} copied, {blobs.mounted} mounted, {blobs.reused} reused |",
        f"| bytes copied | {outcome.bytes_copied:,} |",
        f"| requests | {outcome.requests.source} to the source,"
        f" {outcome.requests.target} to the target |",
        f"| seconds | {seconds.total:.2f} (discover {seconds.discover:.2f},"
        f" copy {seconds.copy:.2f}) |",
    ]
    if outcome.errors:
        lines += ["", "## Failed", ""]
        lines += [
            f"- **{failure.tag or 'the run'}** ({failure.reason.value}): {failure.message}"
            for failure in outcome.errors[:_ROWS]
        ]
    if outcome.warnings:
        lines += ["", "## Warnings", ""]
        lines += [f"- {warning}" for warning in outcome.warnings[:_ROWS]]
    if outcome.planned:
        lines += ["", "## Planned", ""]
        lines += [f"- {tag}: {kind}" for tag, kind in list(outcome.planned.items())[:_ROWS]]
    return "\n".join(lines)


def _rows(copied: Sequence[CopyOutcome]) -> list[dict[str, str | int | float | None]]:
    """A row per tag, failed ones first so that the limit cuts off none of them."""
    ordered = sorted(copied, key=lambda copy: copy.failure is None)
    return [
        {
            "tag": copy.change.tag,
            "change": copy.change.kind.value,
            "result": copy.failure.reason.value if copy.failure else "verified",
            "source digest": copy.change.digest,
            "target digest": copy.target_digest,
            "bytes": copy.bytes_copied,
            "blobs copied": copy.blobs.copied,
            "left out": len(copy.dropped),
            "seconds": round((copy.ended_at - copy.started_at).total_seconds(), 2),
        }
        for copy in ordered[:_ROWS]
    ]


@asynccontextmanager
async def progress_artifact(mirror: str, progress: SyncProgress) -> AsyncIterator[None]:
    """Keep a progress artifact up to date within the block; none for runs that end at once."""
    reporting = asyncio.create_task(_report_progress(mirror, progress))
    try:
        yield
    finally:
        reporting.cancel()
        with suppress(asyncio.CancelledError):
            await reporting


async def _report_progress(mirror: str, progress: SyncProgress) -> None:
    await asyncio.sleep(_FIRST_PROGRESS)
    await progress.started.wait()
    artifact = await acreate_progress_artifact(
        progress=0.0, key=key("sync", mirror, "progress"), description=f"Sync of {mirror}"
    )
    if not isinstance(artifact, UUID):
        raise TypeError(f"Prefect returned no artifact id but {artifact!r}")
    try:
        while True:
            await aupdate_progress_artifact(artifact, progress=round(progress.share * 100, 1))
            await asyncio.sleep(_PROGRESS_SECONDS)
    finally:
        await aupdate_progress_artifact(artifact, progress=round(progress.share * 100, 1))
