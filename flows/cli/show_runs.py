"""Sync runs as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.filesize import decimal
from rich.text import Text

from flows.cli.streams import paged
from flows.cli.tables import STATUS_COLOURS, make_table, print_text
from mirror.outcome import RunOutcome


def show_runs(outcomes: Sequence[RunOutcome]) -> None:
    """Print one line per mirror, then planned changes and warnings."""
    table = make_table(
        *("mirror", "status", ">seen?1", ">changed?2", ">copied", ">failed", ">blobs?5"),
        *(">bytes?3", ">requests?6", ">seconds?4"),
    )
    for outcome in outcomes:
        tags, blobs = outcome.tags, outcome.blobs
        table.add_row(
            outcome.mirror,
            Text(
                outcome.status.value + (" (dry run)" if outcome.dry_run else ""),
                STATUS_COLOURS[outcome.status],
            ),
            str(tags.discovered),
            str(tags.changed),
            str(tags.copied),
            Text(str(tags.failed), "red" if tags.failed else ""),
            f"{blobs.copied}+{blobs.mounted}m+{blobs.reused}r",
            decimal(outcome.bytes_copied),
            f"{outcome.requests.source}+{outcome.requests.target}",
            f"{outcome.seconds.total:.2f}",
        )
    with paged() as console:
        table.print(console)
        for outcome in outcomes:
            for tag, kind in outcome.planned.items():
                print_text(console, f"{outcome.mirror}: {tag} would be copied ({kind})", hang=2)
            for warning in outcome.warnings:
                print_text(console, f"{outcome.mirror}: {warning}", "yellow", hang=2)
