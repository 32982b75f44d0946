"""Prefect artifacts of a sync: a view of the history for Prefect's UI.

Nothing here decides how a run ends: an artifact that Prefect's server does not take, or not soon,
is a warning in the run's log.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from flows.orchestration.run_names import add_to_run_name
from mirror.outcome import CopyOutcome, RunOutcome
from mirror.sync import SyncProgress

_ROWS = 200
_FIRST_PROGRESS = 2.0  # seconds; most runs end before and need no progress artifact
_PROGRESS_SECONDS = 3.0
_PATIENCE = 20.0  # seconds for Prefect's server to take an artifact


def key(*parts: str) -> str:
    """An artifact key of lower-case letters, digits and dashes, the same in every run."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


async def publish_artifacts(*artifacts: Awaitable[object]) -> None:
    """Wait until Prefect's server has taken these artifacts. A failure is a warning in the log."""

    async def one(artifact: Awaitable[object]) -> None:
        async with asyncio.timeout(_PATIENCE):
            await artifact

    for result in await asyncio.gather(*(one(each) for each in artifacts), return_exceptions=True):
        if isinstance(result, BaseException):
            _warn(result)


def _warn(error: BaseException) -> None:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    get_run_logger().warning("Prefect's server did not take an artifact: %s", reason)


async def publish_run(outcome: RunOutcome, copied: Sequence[CopyOutcome]) -> None:
    """A Markdown summary of the run, a table of its tags, and its essentials in its name."""
    await publish_artifacts(
        add_to_run_name(_essentials(outcome)),
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


def _essentials(outcome: RunOutcome) -> str:
    """What the run did, in a few words; empty where nothing was to be done."""
    tags = outcome.tags
    counts = {"planned": len(outcome.planned), "copied": tags.copied, "failed": tags.failed}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


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
    if site := os.environ.get("MIRROR_SITE_URL", "").rstrip("/"):
        lines += ["", f"[Status of all mirrors]({site}/status/)"]
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
    artifact: UUID | None = None
    try:
        while True:
            artifact = await _show_progress(mirror, progress, artifact)
            await asyncio.sleep(_PROGRESS_SECONDS)
    finally:
        if artifact is not None:
            await _show_progress(mirror, progress, artifact)


async def _show_progress(mirror: str, progress: SyncProgress, artifact: UUID | None) -> UUID | None:
    """Create or update the artifact; its id, None as long as there is none."""
    percent = round(progress.share * 100, 1)
    try:
        async with asyncio.timeout(_PATIENCE):
            if artifact is not None:
                await aupdate_progress_artifact(artifact, progress=percent)
                return artifact
            made: object = await acreate_progress_artifact(
                progress=percent,
                key=key("sync", mirror, "progress"),
                description=f"Sync of {mirror}",
            )
            return made if isinstance(made, UUID) else None
    except Exception as error:  # noqa: BLE001 - of whatever kind: it is only a view
        _warn(error)
        return artifact
