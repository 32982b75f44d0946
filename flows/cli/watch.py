"""`mirror watch`: check all sources, and sync the mirrors whose source changed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import config_option, json_option, report_error
from flows.orchestration import prepare_prefect, run
from mirror.config import load_settings
from mirror.outcome import RunStatus

if TYPE_CHECKING:
    from flows.watch import Watched


@click.command("watch")
@click.option("--once", is_flag=True, help="Check once, then exit.")
@json_option("one object per check")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, once: bool, as_json: bool) -> None:
    """Check all sources every few minutes; --once exits 1 when something fails."""
    settings = load_settings(config)
    prepare_prefect()
    every = min(mirror.watch_every for mirror in settings.mirrors.values())
    ctx.exit(run(_watch(every, once, as_json)))


async def _watch(every: timedelta, once: bool, as_json: bool) -> int:
    from flows.orchestration import outcome_as
    from flows.watch import Watched, watch

    while True:
        state: Any = await watch(return_state=True)
        watched = await outcome_as(state, Watched, "the watch")
        _show(watched, as_json)
        if once:
            return 0 if _all_well(watched) else 1
        await asyncio.sleep(every.total_seconds())


def _show(watched: Watched, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(watched)))
    else:
        moved = f"changed: {', '.join(watched.moved)}" if watched.moved else "no changes"
        click.echo(
            f"{len(watched.looked)} sources, {watched.requests} requests,"
            f" {watched.seconds:.2f} s: {moved}"
        )
    errors = [*watched.errors, *(error for o in watched.synced for error in o.errors)]
    for error in errors:
        report_error(f"{error.message} ({error.reason.value})")


def _all_well(watched: Watched) -> bool:
    return not watched.errors and all(
        outcome.status is RunStatus.SUCCEEDED for outcome in watched.synced
    )
