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
from mirror.units import format_count

if TYPE_CHECKING:
    from mirror.checks import WatchReport


@click.command("watch")
@click.option("--once", is_flag=True, help="Check once, then exit.")
@json_option("one object per check")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, once: bool, as_json: bool) -> None:
    """Check all sources every few minutes; --once exits 1 when something fails."""
    settings = load_settings(config)
    prepare_prefect()
    every = min(mirror.watch_every for mirror in settings.policies)
    ctx.exit(run(_watch(every, once, as_json)))


async def _watch(every: timedelta, once: bool, as_json: bool) -> int:
    from flows.orchestration import outcome_of
    from flows.watch import watch
    from mirror.checks import WatchReport

    while True:
        state: Any = await watch(return_state=True)
        report = await outcome_of(state)
        if not isinstance(report, WatchReport):
            await state.aresult()
            raise RuntimeError(f"the watch ended as {state.name} without a report")
        _show(report, as_json)
        if once:
            return 0 if report.well else 1
        await asyncio.sleep(every.total_seconds())


def _show(report: WatchReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        moved = f"moved: {', '.join(report.moved)}" if report.moved else "nothing moved"
        click.echo(
            f"{format_count(len(report.looked), 'source')},"
            f" {format_count(report.requests, 'request')},"
            f" {report.seconds:.2f} s: {moved}"
        )
    errors = [*report.errors, *(error for o in report.synced for error in o.errors)]
    for error in errors:
        report_error(f"{error.message} ({error.reason.value})")
