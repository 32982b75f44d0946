"""Sync runs as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal

from flows.cli.tables import STATUS_COLOURS, make_table
from mirror.outcome import RunOutcome


def show_runs(outcomes: Sequence[RunOutcome]) -> None:
    """Print one line per mirror, then planned changes and warnings."""
    console = Console()
    table = make_table(
        *("mirror", "status", ">seen", ">changed", ">copied", ">failed", ">blobs", ">bytes"),
        *(">requests", ">seconds"),
    )
    for outcome in outcomes:
        tags, blobs = outcome.tags, outcome.blobs
        colour = STATUS_COLOURS[outcome.status]
        table.add_row(
            outcome.mirror,
            f"[{colour}]{outcome.status.value}[/]" + (" (dry run)" if outcome.dry_run else ""),
            str(tags.discovered),
            str(tags.changed),
            str(tags.copied),
            f"[red]{tags.failed}[/]" if tags.failed else "0",
            f"{blobs.copied}+{blobs.mounted}m+{blobs.reused}r",
            decimal(outcome.bytes_copied),
            f"{outcome.requests.source}+{outcome.requests.target}",
            f"{outcome.seconds.total:.2f}",
        )
    console.print(table)
    for outcome in outcomes:
        for tag, kind in outcome.planned.items():
            console.print(f"  {outcome.mirror}: {tag} would be copied ({kind})")
        for warning in outcome.warnings:
            console.print(f"  {outcome.mirror}: {warning}", style="yellow", highlight=False)
