"""The flow `sync-entry`: sync every repository of one entry of mirrors.yaml.

An entry such as `source: docker.io/bitnami/*` is one deployment, however many repositories it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import (
    OutcomeError,
    TriggerName,
    alert,
    is_deployed_run,
    living,
    load_secret,
    parts_of,
    run_name,
    start_entry_runs,
    trigger_of,
)
from flows.sync_group import End, publish_group, sync_group
from flows.sync_mirror import Shared, SyncRequest
from mirror.checks import EntriesLook, WatchResult, WatchRound, look_at_entries
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError
from mirror.history import RepositoryRecorder, create_engine, database_url, prepare
from mirror.outcome import RunOutcome, RunStatus
from mirror.sync import SyncProgress


def sync_entry_flow(
    progress: SyncProgress | None = None,
    shared: Shared | None = None,
    ended: Callable[[str, End], None] = lambda mirror, end: None,
) -> Flow[[str, bool, TriggerName | None, bool, list[str] | None, bool], Any]:
    """The flow `sync-entry`.

    A command passes the progress that it shows. Who syncs others in this process passes what they
    share, and may receive each end as it comes.
    """

    @flow(
        name="sync-entry",
        flow_run_name=run_name("sync {entry}"),
        persist_result=False,
        on_completion=[alert],
        on_failure=[alert],
        on_crashed=[alert],
    )
    @living
    async def sync_entry(
        entry: str,
        full: bool = True,
        trigger: TriggerName | None = None,
        accept_loss: bool = False,
        mirrors: list[str] | None = None,
        dry_run: bool = False,
    ) -> State[tuple[RunOutcome, ...]]:
        """List the repositories of one entry of mirrors.yaml and sync each: a mirror, a task run.

        A scheduled run of an entry with many repositories syncs some of them, and starts further
        runs for the others, which other workers may take.
        The state's data are their RunOutcomes. A run in which some failed is Completed with the
        name Partial; their later runs try again.

        Args:
            entry: Its name in mirrors.yaml.
            full: Compare both sides instead of trusting what the history knows.
            trigger: What the history records as the reason of the runs. Empty: `manual` for a run
                that a person starts, which tries failed tags again at once, else `schedule`.
            accept_loss: The sources lost tags on purpose: mark them as gone, however many.
            mirrors: The mirrors to sync (ENTRY/REPOSITORY), without listing.
            dry_run: Only report what would be done.

        Raises OutcomeError if nothing could be listed, and none is known.
        """
        settings = load_settings()
        if entry not in settings.entries:
            known = ", ".join(sorted(settings.entries)) or "none"
            raise ConfigError(
                f"{settings.path}: {entry!r} is no entry for many repositories; there are: {known}"
            )
        why = trigger_of(trigger)
        names = tuple(mirrors or ())
        errors: tuple[str, ...] = ()
        if mirrors is None:
            names, errors = await _listed(settings, entry, accept_loss)
            if is_deployed_run():  # workers share what is more than one run should do
                names, *others = parts_of(names) or ((),)
                options = {"full": full, "dry_run": dry_run, "accept_loss": accept_loss}
                await start_entry_runs(entry, others, {"trigger": why.value, **options})
        shown = progress or SyncProgress()
        outcomes = await sync_group(
            [SyncRequest(name, full, why, dry_run, accept_loss, shown) for name in names],
            shared,
            ended,
        )
        if errors and not outcomes:
            raise OutcomeError(errors[0], outcomes)
        await publish_group(entry, outcomes)
        well = [one for one in outcomes if one.status is RunStatus.SUCCEEDED]
        return Completed(
            name=None if len(well) == len(outcomes) and not errors else "Partial",
            message=f"{len(well)} of {len(outcomes)} repositories in sync",
            data=outcomes,
        )

    return sync_entry


sync_entry = sync_entry_flow()


async def _listed(
    settings: Settings, entry: str, accept_loss: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The mirrors of an entry's repositories, and why they could not be listed."""
    look = await look_at(settings, (entry,), accept_loss=accept_loss)
    log = get_run_logger()
    for warning in look.warnings:
        log.warning("%s", warning)
    errors = tuple(error.message for error in look.errors)
    for error in errors:
        log.error("%s", error)
    return look.settings.mirrors_of(entry), errors


async def look_at(
    settings: Settings, entries: Sequence[str], *, accept_loss: bool = False
) -> EntriesLook:
    """List the repositories of entries now, and keep them in the history."""
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    engine = create_engine(url)
    try:
        return await look_at_entries(
            settings,
            RepositoryRecorder(engine),
            load_secret,
            entries=entries,
            accept_loss=accept_loss,
        )
    finally:
        engine.dispose()


async def keep_looked(entries: EntriesLook, found: WatchRound) -> WatchRound:
    """Keep what was looked at in the history; the round with the entries that could not be read.

    What moved is looked at again until it is in sync: its sync may be broken off.
    """
    looked = {
        name
        for result in found.results
        if not result.error
        for name in result.mirrors
        if name not in result.moved
    }
    engine = create_engine(await asyncio.to_thread(database_url))
    try:
        await asyncio.to_thread(entries.keep, RepositoryRecorder(engine), looked)
    finally:
        engine.dispose()
    unread = [WatchResult(error.tag or "", (), (), 0, error) for error in entries.errors]
    return WatchRound((*found.results, *unread))
