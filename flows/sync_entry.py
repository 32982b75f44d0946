"""The flow `sync-entry`: sync every repository of one entry of mirrors.yaml.

An entry such as `source: docker.io/bitnami/*` is one deployment, however many repositories it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import (
    OutcomeError,
    TriggerName,
    living,
    load_secret,
    outcome_as,
    run_name,
    trigger_of,
)
from flows.sync import sync
from mirror.checks import EntriesLook, WatchResult, WatchRound, look_at_entries
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError
from mirror.history import RepositoryRecorder, create_engine, database_url, prepare
from mirror.outcome import RunOutcome, RunStatus

MIRRORS_AT_ONCE = 8  # flow runs in one process; more wait for Prefect's server, not for registries


@flow(name="sync-entry", flow_run_name=run_name("sync {entry}"), persist_result=False)
@living
async def sync_entry(
    entry: str,
    full: bool = True,
    trigger: TriggerName | None = None,
    accept_loss: bool = False,
    mirrors: list[str] | None = None,
) -> State[tuple[RunOutcome, ...]]:
    """List the repositories of one entry of mirrors.yaml and sync each as a separate mirror.

    The state's data are their RunOutcomes. A run in which some failed is Completed with the name
    Partial; their later runs try again.

    Args:
        entry: Its name in mirrors.yaml.
        full: Compare both sides instead of trusting what the history knows.
        trigger: What the history records as the reason of the runs. Empty: `manual` for a run that
            a person starts, which tries failed tags again at once, else `schedule`.
        accept_loss: The sources lost tags on purpose: mark them as gone, however many.
        mirrors: The mirrors to sync (ENTRY/REPOSITORY), without listing.

    Raises OutcomeError if nothing could be listed, and none is known.
    """
    settings = load_settings()
    if entry not in settings.entries:
        known = ", ".join(sorted(settings.entries)) or "none"
        raise ConfigError(
            f"{settings.path}: {entry!r} is no entry for many repositories; there are: {known}"
        )
    log = get_run_logger()
    errors: tuple[str, ...] = ()
    if mirrors is None:
        look = await look_at(settings, (entry,), accept_loss=accept_loss)
        for warning in look.warnings:
            log.warning("%s", warning)
        errors = tuple(error.message for error in look.errors)
        mirrors = [name for name in look.settings.mirrors if name.startswith(f"{entry}/")]
    for error in errors:
        log.error("%s", error)
    outcomes = await sync_many(mirrors, full=full, trigger=trigger_of(trigger).value)
    if errors and not outcomes:
        raise OutcomeError(errors[0], outcomes)
    well = [one for one in outcomes if one.status is RunStatus.SUCCEEDED]
    return Completed(
        name=None if len(well) == len(outcomes) and not errors else "Partial",
        message=f"{len(well)} of {len(outcomes)} repositories in sync",
        data=outcomes,
    )


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
    """Keep what was looked at in the history; the round with the entries that could not be read."""
    looked = {name for result in found.results if not result.error for name in result.mirrors}
    engine = create_engine(await asyncio.to_thread(database_url))
    try:
        await asyncio.to_thread(entries.keep, RepositoryRecorder(engine), looked)
    finally:
        engine.dispose()
    unread = [WatchResult(error.tag or "", (), (), 0, error) for error in entries.errors]
    return WatchRound((*found.results, *unread))


async def sync_many(names: Sequence[str], *, full: bool, trigger: str) -> tuple[RunOutcome, ...]:
    """Sync mirrors in this process, a bounded number at once, each as a flow run."""
    slots = asyncio.Semaphore(MIRRORS_AT_ONCE)
    at_once = sync.with_options(retries=0)

    async def one(name: str) -> RunOutcome:
        async with slots:
            state = await at_once(mirror=name, full=full, trigger=trigger, return_state=True)
        return await outcome_as(state, RunOutcome, f"the sync of {name}")

    return tuple(await asyncio.gather(*(one(name) for name in names)))
