"""`mirror watch`: look at all sources, and sync the mirrors whose source moved."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import config_option
from flows.orchestration import prepare_prefect, run
from mirror.config import load_settings
from mirror.outcome import RunStatus

if TYPE_CHECKING:
    from flows.watch import Watched


@click.command("watch")
@click.option("--once", is_flag=True, help="One look, then end.")
@click.option("--json", "as_json", is_flag=True, help="Print one object a look.")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, once: bool, as_json: bool) -> None:
    """Look at all sources every couple of minutes; --once exits 1 when something fell short."""
    settings = load_settings(config)
    prepare_prefect()
    pace = min(mirror.watch_every for mirror in settings.mirrors.values())
    ctx.exit(run(_watch(pace, once, as_json)))


async def _watch(pace: timedelta, once: bool, as_json: bool) -> int:
    from flows.orchestration import outcome_of
    from flows.watch import Watched, watch

    while True:
        state: Any = await watch(return_state=True)
        watched = await outcome_of(state)
        if not isinstance(watched, Watched):
            await state.aresult()
            raise RuntimeError(f"the watch ended as {state.name} without an outcome")
        _show(watched, as_json)
        if once:
            return 0 if _all_well(watched) else 1
        await asyncio.sleep(pace.total_seconds())


def _show(watched: Watched, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(watched)))
    else:
        moved = f"moved: {', '.join(watched.moved)}" if watched.moved else "nothing moved"
        click.echo(
            f"{len(watched.looked)} sources, {watched.requests} requests,"
            f" {watched.seconds:.2f} s: {moved}"
        )
    errors = [*watched.errors, *(error for o in watched.synced for error in o.errors)]
    for error in errors:
        click.echo(f"mirror: {error.message} ({error.reason.value})", err=True)


def _all_well(watched: Watched) -> bool:
    return not watched.errors and all(
        outcome.status is RunStatus.SUCCEEDED for outcome in watched.synced
    )
