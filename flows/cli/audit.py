"""`mirror audit NAME...`: compare targets with their sources and the history."""

from __future__ import annotations

import asyncio
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
from flows.cli.streams import paged, report_error
from flows.cli.tables import make_table, print_text
from flows.orchestration import prepare_prefect, run
from mirror.checks import AuditReport
from mirror.units import format_count

_FINDINGS_SHOWN = 50
_AUDITS_AT_ONCE = 8


@click.command("audit")
@names_argument
@click.option("--deep", is_flag=True, help="Fetch and hash every blob instead of a sample.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of random blobs to fetch and hash.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1, max=1000),
    default=10.0,
    show_default=True,
    help="Maximum requests per second.",
)
@json_option()
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    names: tuple[str, ...],
    deep: bool,
    sample: int,
    rate: float,
    as_json: bool,
) -> None:
    """Compare targets with their sources and the history; exits 1 when something differs.

    The mirror's next sync repairs what differs.
    """
    names = chosen_mirrors(config, names)
    prepare_prefect()
    with working(f"auditing {format_count(len(names), 'mirror')}"):
        reports = run(_audit_all(names, deep, sample, rate))
    if as_json:
        click.echo(json.dumps([as_document(report) for report in reports], indent=2))
    else:
        _show(reports)
    for report in reports:
        if report.failure is not None:
            reason = report.failure.reason.value
            report_error(f"{report.mirror}: {report.failure.message} ({reason})")
    ctx.exit(0 if all(report.well for report in reports) else 1)


def as_document(report: AuditReport) -> dict[str, Any]:
    """The object that `--json` prints for one mirror."""
    return {
        **asdict(report),
        "status": report.status,
        "started_at": report.started_at.isoformat(),
        "ended_at": report.ended_at.isoformat(),
    }


async def _audit_all(
    names: Sequence[str], deep: bool, sample: int, rate: float
) -> list[AuditReport]:
    from flows.audit import audit
    from flows.orchestration import outcome_as

    at_once = min(len(names), _AUDITS_AT_ONCE)
    slots = asyncio.Semaphore(at_once)

    async def one(name: str) -> AuditReport:
        async with slots:
            state: Any = await audit(
                mirror=name, deep=deep, rate=rate / at_once, sample=sample, return_state=True
            )
        return await outcome_as(state, AuditReport, f"the audit of {name}")

    return list(await asyncio.gather(*(one(name) for name in names)))


def _show(reports: Sequence[AuditReport]) -> None:
    table = make_table(
        *("mirror", "status", ">tags", ">blobs seen?2", ">hashed?3", ">bytes hashed?1"),
        *(">requests?4", ">differences"),
    )
    for report in reports:
        colour = {"in_sync": "green", "differs": "yellow", "failed": "red"}[report.status]
        table.add_row(
            report.mirror,
            Text(report.status.replace("_", " "), colour),
            str(report.tags),
            str(report.blobs_checked),
            str(report.blobs_hashed),
            decimal(report.bytes_hashed),
            f"{report.requests.source}+{report.requests.target}",
            str(len(report.findings)),
        )
    with paged() as console:
        table.print(console)
        for report in reports:
            for found in report.findings[:_FINDINGS_SHOWN]:
                line = f"{report.mirror}:{found.tag} {found.kind.value}: {found.message}"
                print_text(console, line, "yellow", indent=2, hang=2)
            if len(report.findings) > _FINDINGS_SHOWN:
                more = len(report.findings) - _FINDINGS_SHOWN
                print_text(console, f"and {more} more: see --json", indent=2)
            if report.handed_over:
                tags = ", ".join(report.handed_over[:_FINDINGS_SHOWN])
                line = f"{report.mirror}: the next sync repairs {tags}"
                print_text(console, line, indent=2, hang=2)
