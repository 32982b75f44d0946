"""`mirror sync NAME...`: sync mirrors with their sources now."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from flows.cli.options import (
    checked_names,
    config_option,
    json_option,
    names_argument,
    report_error,
    report_failures,
)
from flows.orchestration import prepare_prefect, run
from mirror.config import load_settings
from mirror.outcome import RunOutcome, RunStatus, TagFailure, Trigger
from mirror.sync import SharedUploads, SyncProgress

_MIRRORS_AT_ONCE = 20


@click.command("sync")
@names_argument
@click.option("--full", is_flag=True, help="Compare both sides instead of trusting the history.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Accept that the source lost more tags than delete_share allows. Implies --full.",
)
@json_option()
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    names: tuple[str, ...],
    full: bool,
    dry_run: bool,
    accept_loss: bool,
    as_json: bool,
) -> None:
    """Sync mirrors with their sources; exits 1 when one fails."""
    names = checked_names(load_settings(config), names)
    prepare_prefect()
    progress = SyncProgress()
    outcomes, errors = run(
        _sync_all(
            names,
            full or accept_loss,
            dry_run,
            accept_loss,
            progress,
            bar=not as_json and sys.stderr.isatty(),
        )
    )
    if as_json:
        click.echo(json.dumps([as_document(outcome) for outcome in outcomes], indent=2))
    else:
        from flows.cli.show_runs import show_runs

        show_runs(outcomes)
    for outcome in outcomes:
        report_failures(outcome.mirror, outcome.errors)
    for error in errors:
        report_failures(error.tag or "", (replace(error, tag=None),))
    well = not errors and all(o.status is RunStatus.SUCCEEDED for o in outcomes)
    ctx.exit(0 if well else 1)


def as_document(outcome: RunOutcome) -> dict[str, Any]:
    """The object that `--json` prints for one mirror."""
    document = asdict(outcome)
    if not outcome.dry_run:
        del document["planned"]
    return document


async def _sync_all(
    names: tuple[str, ...],
    full: bool,
    dry_run: bool,
    accept_loss: bool,
    progress: SyncProgress,
    *,
    bar: bool,
) -> tuple[list[RunOutcome], tuple[TagFailure, ...]]:
    from flows.orchestration import outcome_as
    from flows.sync import sync_flow

    names, errors = await _repositories_of(names, accept_loss)
    sync = sync_flow(progress, SharedUploads() if len(names) > 1 else None)
    # A person wants to know now: the schedule's retries are not for this.
    at_once = sync.with_options(retries=0)
    slots = asyncio.Semaphore(_MIRRORS_AT_ONCE)

    async def one(name: str) -> RunOutcome:
        async with slots:
            state = await at_once(
                mirror=name,
                full=full,
                dry_run=dry_run,
                accept_loss=accept_loss,
                trigger=Trigger.MANUAL.value,
                return_state=True,
            )
        return await outcome_as(state, RunOutcome, f"the sync of {name}")

    from flows.cli.progress_bar import progress_bar

    async with progress_bar(progress, shown=bar):
        return await asyncio.gather(*(one(name) for name in names)), errors


async def _repositories_of(
    names: tuple[str, ...], accept_loss: bool
) -> tuple[tuple[str, ...], tuple[TagFailure, ...]]:
    """The mirrors that the names mean; the sources of entries are asked for their repositories."""
    settings = load_settings()
    entries = [name for name in names if name in settings.entries]
    if not entries:
        return names, ()
    from flows.sync_entry import look_at

    look = await look_at(settings, entries, accept_loss=accept_loss)
    for warning in look.warnings:
        report_error(warning)
    found = [mirror for name in names for mirror in look.settings.mirrors_of(name)]
    return tuple(dict.fromkeys(found)), look.errors
