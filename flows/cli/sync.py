"""`mirror sync NAME...`: sync mirrors with their sources now."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import (
    checked_names,
    config_option,
    json_option,
    names_argument,
    report_failures,
)
from flows.cli.streams import report_error
from flows.orchestration import prepare_prefect, run_or_stop
from mirror.config import load_settings
from mirror.logs import log_fields
from mirror.outcome import RunOutcome, RunStatus, TagFailure, Trigger
from mirror.sync import SyncProgress

if TYPE_CHECKING:
    from flows.sync_mirror import Shared

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
    outcomes, errors = run_or_stop(
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
        with log_fields(run=outcome.run_id, mirror=outcome.mirror):
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
    from flows.cli.progress_bar import progress_bar
    from flows.orchestration import outcome_as
    from flows.sync import sync_flow
    from flows.sync_mirror import sharing

    names, errors = await _repositories_of(names, accept_loss)
    options = {
        "full": full,
        "dry_run": dry_run,
        "accept_loss": accept_loss,
        "trigger": Trigger.MANUAL.value,
    }

    async def one(name: str, shared: Shared | None) -> list[RunOutcome]:
        # A person wants to know now: the schedule's retries are not for this.
        sync = sync_flow(progress, shared).with_options(retries=0)
        async with shared.turns if shared else nullcontext():
            state = await sync(mirror=name, return_state=True, **options)
        return [await outcome_as(state, RunOutcome, f"the sync of {name}")]

    async def many(entry: str, mirrors: list[str], shared: Shared | None) -> list[RunOutcome]:
        from flows.sync_entry import sync_entry_flow

        flow: Any = sync_entry_flow(progress, shared)
        state = await flow(entry=entry, mirrors=mirrors, return_state=True, **options)
        return list(await outcome_as(state, tuple, f"the sync of {entry}"))

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(progress_bar(progress, shown=bar))
        # The sync of a single one asks its source before the history is open.
        together = sharing(_MIRRORS_AT_ONCE) if len(names) > 1 else nullcontext()
        shared = await stack.enter_async_context(together)
        works = []
        for entry, mirrors in _by_entry(names).items():
            alone = len(mirrors) == 1
            works.append(one(mirrors[0], shared) if alone else many(entry, mirrors, shared))
        ended = await asyncio.gather(*works)
    done = [outcome for outcomes in ended for outcome in outcomes]
    return sorted(done, key=lambda outcome: names.index(outcome.mirror)), errors


def _by_entry(names: tuple[str, ...]) -> dict[str, list[str]]:
    """The names by their entry, the part before the slash: one flow run each."""
    entries: dict[str, list[str]] = {}
    for name in names:
        entries.setdefault(name.partition("/")[0], []).append(name)
    return entries


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
