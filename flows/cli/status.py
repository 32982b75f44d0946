"""`mirror status`: the current state of each mirror."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from flows.cli.options import chosen_mirrors, complete_mirrors, config_option, json_option
from flows.cli.streams import paged
from flows.cli.tables import STATUS_COLOURS, make_table, print_text
from mirror.config import MirrorSettings, load_settings
from mirror.history import (
    MirrorStatus,
    RunSummary,
    close_dead_runs,
    create_engine,
    database_url,
    prepare,
    read_late_schedules,
    read_status,
    with_repositories,
)
from mirror.outcome import DropReason, RunStatus, utcnow
from mirror.units import format_count, format_floor

_FAILED = (RunStatus.FAILED, RunStatus.ABANDONED)
_LEFT_OUT = {
    DropReason.PLATFORM: "leaves out platforms, as configured",
    DropReason.ATTESTATION: "leaves out attestations, as configured",
    DropReason.ATTESTATION_REFUSED: "left out attestations, which the target refuses",
    DropReason.NON_DISTRIBUTABLE: "refers to non-distributable layers, which are not uploaded",
    DropReason.REFERRER_REFUSED: "left out signatures or SBOMs, which the target refuses",
}


@click.command("status")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_mirrors)
@json_option()
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, names: tuple[str, ...], as_json: bool) -> None:
    """Show each mirror of mirrors.yaml, or those named: last run, tags in sync, lag, failures.

    Exits 1 when the last run of a mirror failed or was killed, a tag waits longer than its
    delay_goal, or a schedule does not fire. Runs that only met another one at work, and dry runs,
    are not a mirror's state. Closes runs that were killed.
    """
    settings = load_settings(config)
    url = database_url()
    prepare(url)
    close_dead_runs(url)
    settings = with_repositories(settings, url)
    if names:
        chosen = chosen_mirrors(config, names)
        mirrors = {name: settings.mirror(name) for name in chosen}
        settings = settings.model_copy(update={"mirrors": mirrors})
    engine = create_engine(url)
    now = utcnow()
    try:
        recorded = {found.mirror: found for found in read_status(engine)}
        missed = settings.alerting.missed_runs
        late = read_late_schedules(engine, settings.mirrors, now, missed)
    finally:
        engine.dispose()
    if as_json:
        found = [
            asdict(recorded.get(name) or _never_synced(mirror))
            | {"late_schedules": [each.schedule for each in late if name in each.mirrors]}
            for name, mirror in settings.mirrors.items()
        ]
        click.echo(json.dumps(found, indent=2, default=_plain))
    else:
        show(settings.mirrors, recorded, now)
        for silent in late:
            click.secho(silent.line(now), fg="red")
    short = [
        name
        for name, mirror in settings.mirrors.items()
        if name in recorded and _falls_short(recorded[name], mirror)
    ]
    ctx.exit(1 if short or late else 0)


def _falls_short(found: MirrorStatus, mirror: MirrorSettings) -> bool:
    failed = found.last_run is not None and found.last_run.status in _FAILED
    return failed or _is_late(found, mirror)


def _is_late(found: MirrorStatus, mirror: MirrorSettings) -> bool:
    return found.oldest_lag is not None and found.oldest_lag > mirror.delay_goal


def _never_synced(mirror: MirrorSettings) -> MirrorStatus:
    """What the history says of a mirror that it does not know yet: no run, no tags."""
    return MirrorStatus(
        mirror=mirror.name,
        source=mirror.source,
        target=mirror.target,
        every=mirror.every,
        delay_goal=mirror.delay_goal,
        tags=0,
        in_sync=0,
        behind=0,
        failing=0,
        held=0,
        gone=0,
        oldest_lag=None,
        last_arrival_at=None,
        last_success_at=None,
    )


def show(
    mirrors: Mapping[str, MirrorSettings], recorded: Mapping[str, MirrorStatus], now: datetime
) -> None:
    """Print a line per mirror, and below them the failing tags."""
    table = make_table(
        *("mirror", "last run", ">in sync", ">behind?2", ">failing", ">held?3", ">lag?1"),
        ">last success?4",
    )
    for name, mirror in mirrors.items():
        found = recorded.get(name)
        if found is None:
            table.add_row(name, Text("never synced", style="yellow"), *[""] * 6)
        else:
            table.add_row(name, *_cells(found, mirror, now))
    with paged() as console:
        table.print(console)
        for found in (recorded[name] for name in mirrors if name in recorded):
            _show_failing(console, found)
            for part in found.left_out:
                line = Text.assemble(
                    (found.mirror, "yellow"),
                    f" {_LEFT_OUT[DropReason(part.reason)]} ({part.tags} of {found.tags} tags)",
                )
                print_text(console, line, hang=2)


def _cells(found: MirrorStatus, mirror: MirrorSettings, now: datetime) -> Iterable[Text]:
    yield _run(found.last_run, now)
    yield Text(f"{found.in_sync}/{found.tags}", style="green" if not found.behind else "")
    yield Text(str(found.behind), style="yellow" if found.behind else "dim")
    yield Text(str(found.failing), style="red" if found.failing else "dim")
    yield Text(str(found.held), style="yellow" if found.held else "dim")
    lag = "-" if found.oldest_lag is None else format_floor(found.oldest_lag)
    yield Text(lag, style="red" if _is_late(found, mirror) else "")
    if found.last_success_at is None:
        yield Text("never", style="red")
    else:
        since = now - found.last_success_at
        yield Text(f"{format_floor(since)} ago", style="red" if since > 2 * mirror.every else "")


def _run(run: RunSummary | None, now: datetime) -> Text:
    if run is None:
        return Text("none", style="yellow")
    colour = STATUS_COLOURS[run.status]
    return Text.assemble((run.status, colour), f" {format_floor(now - run.started_at)} ago")


def _show_failing(console: Console, found: MirrorStatus) -> None:
    for tag in found.failing_tags:
        again = f", next try {tag.next_attempt_at:%H:%M} UTC" if tag.next_attempt_at else ""
        attempts = format_count(tag.attempts, "attempt")
        line = Text.assemble(
            (f"{found.mirror}:{tag.tag}", "red"), f" {tag.reason}, {attempts}{again}: {tag.message}"
        )
        print_text(console, line, hang=2)


def _plain(value: object) -> str | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
