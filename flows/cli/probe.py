"""`mirror probe NAME...`: pull from source and mirror as a user would, and time it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal
from rich.text import Text

from flows.cli.options import chosen_mirrors, config_option, json_option, names_argument
from flows.cli.progress_bar import working
from flows.cli.streams import report_error
from flows.cli.tables import make_table
from flows.orchestration import prepare_prefect, run
from mirror.checks import ProbeReport, Pull
from mirror.history import SPEED_GOAL
from mirror.units import format_count


@click.command("probe")
@names_argument
@click.option("--tag", help="Tag to pull (default: latest, else the newest in sync).")
@click.option(
    "--megabytes",
    type=click.IntRange(min=0),
    default=32,
    show_default=True,
    help="How much of the layers to pull; 0: all.",
)
@click.option("--platform", default="linux/amd64", show_default=True, help="Platform to pull.")
@json_option()
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    names: tuple[str, ...],
    tag: str | None,
    megabytes: int,
    platform: str,
    as_json: bool,
) -> None:
    """Pull from source and mirror as an anonymous user would; exits 1 when a pull fails."""
    names = chosen_mirrors(config, names)
    prepare_prefect()
    with working(f"pulling from {format_count(len(names), 'mirror')} and sources"):
        reports = run(_probe(names, tag, megabytes, platform))
    if as_json:
        click.echo(json.dumps([as_document(report) for report in reports], indent=2))
    else:
        _show(reports)
    for report in reports:
        for warning in report.warnings:
            report_error(f"{report.mirror}: {warning}")
        for pulled in (report.source, report.target):
            if pulled is not None and pulled.reason is not None:
                report_error(f"{report.mirror}: {pulled.message} ({pulled.reason.value})")
    ctx.exit(0 if all(report.well for report in reports) else 1)


def as_document(report: ProbeReport) -> dict[str, Any]:
    """The object that `--json` prints for one mirror."""
    return {
        **asdict(report),
        "probed_at": report.probed_at.isoformat(),
        "source": _pull_document(report.source),
        "target": _pull_document(report.target),
        "gain": report.gain,
    }


def _pull_document(pulled: Pull | None) -> dict[str, Any] | None:
    if pulled is None:
        return None
    return {**asdict(pulled), "bytes_per_second": pulled.bytes_per_second}


async def _probe(
    names: Sequence[str], tag: str | None, megabytes: int, platform: str
) -> tuple[ProbeReport, ...]:
    from flows.probe import probe

    state: Any = await probe(
        mirror=list(names), tag=tag, megabytes=megabytes, platform=platform, return_state=True
    )
    reports: tuple[ProbeReport, ...] = await state.aresult()
    return reports


def _show(reports: Sequence[ProbeReport]) -> None:
    table = make_table(
        *("mirror", "tag?1", "from", ">first byte?3", ">seconds?2", ">bytes?4", ">per second"),
        ">against source",
    )
    for report in reports:
        for side, pulled in (("source", report.source), ("mirror", report.target)):
            gain = report.gain if side == "mirror" else None
            table.add_row(report.mirror, report.tag or "-", side, *_cells(pulled, gain))
    table.print()


def _cells(pulled: Pull | None, gain: float | None) -> tuple[str | Text, ...]:
    if pulled is None:
        return ("", "", "", "not pulled", "")
    first = f"{pulled.first_byte_seconds:.3f} s" if pulled.first_byte_seconds is not None else ""
    speed = pulled.bytes_per_second
    rate: str | Text = Text(pulled.reason.value, "red") if pulled.reason else ""
    if speed is not None:
        rate = f"{decimal(int(speed))}/s"
    against = Text()
    if gain is not None:
        against = Text(f"{gain:+.0%}", "green" if gain >= SPEED_GOAL else "yellow")
    return (first, f"{pulled.seconds:.2f}", decimal(pulled.bytes), rate, against)
