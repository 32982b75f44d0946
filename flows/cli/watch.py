"""`mirror watch`: check all sources, and sync the mirrors whose source changed."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import config_option, json_option
from flows.cli.streams import report_error
from flows.orchestration import prepare_prefect, run, run_until_signal
from mirror.config import load_settings
from mirror.logs import log_fields, output_as_logs
from mirror.units import format_count

if TYPE_CHECKING:
    from mirror.checks import Look, SyncEnd, WatchReport


@click.command("watch")
@click.option("--once", is_flag=True, help="Check once, then exit.")
@json_option("one object per check")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, once: bool, as_json: bool) -> None:
    """Check all sources every few seconds; --once exits 1 when something fails."""
    load_settings(config)
    prepare_prefect()
    if once:
        ctx.exit(run(_watch_once(as_json)))
    from flows.watching import Reports, live_watch

    shown = _Shown(as_json)
    reports = Reports(look=shown.look, sync=shown.sync, say=report_error)
    with nullcontext() if as_json else output_as_logs("mirror.watch"):
        run_until_signal(partial(live_watch, reports=reports))


async def _watch_once(as_json: bool) -> int:
    from flows.orchestration import outcome_of
    from flows.watch import watch
    from mirror.checks import WatchReport

    state: Any = await watch(return_state=True)
    report = await outcome_of(state)
    if not isinstance(report, WatchReport):
        await state.aresult()
        raise RuntimeError(f"the watch ended as {state.name} without a report")
    _show(report, as_json)
    return 0 if report.well else 1


class _Shown:
    """Prints looks: as JSON every one, else those that found something or failed."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def look(self, look: Look) -> None:
        """Print a look."""
        from mirror.checks import WatchReport

        result = look.result
        if result is None:
            report_error(f"watch: {look.source}: {type(look.defect).__name__}: {look.defect}")
            return
        errors = (result.error,) if result.error else ()
        if self._as_json or result.moved or errors:
            seconds = round((look.ended_at - look.started_at).total_seconds(), 4)
            _show(
                WatchReport(
                    (look.source,), result.moved, result.moved, (), result.requests, seconds, errors
                ),
                self._as_json,
            )

    def sync(self, end: SyncEnd) -> None:
        """Print how a sync ended."""
        outcome = end.outcome
        if outcome is None:
            report_error(f"sync {end.mirror}: {type(end.defect).__name__}: {end.defect}")
            return
        if not self._as_json:
            done = f"{outcome.tags.copied} of {outcome.tags.changed} changed tags copied"
            click.echo(f"{end.mirror}: {outcome.status}, {done}, {outcome.seconds.total:.2f} s")
        for failure in outcome.errors:
            where = f"{end.mirror}:{failure.tag}" if failure.tag else end.mirror
            tag = {"tag": failure.tag} if failure.tag else {}
            with log_fields(run=outcome.run_id, mirror=end.mirror, **tag):
                report_error(f"{where}: {failure.message} ({failure.reason.value})")


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
