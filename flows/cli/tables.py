"""Tables and colours that commands share."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from mirror.outcome import RunStatus

STATUS_COLOURS: Mapping[str, str] = {
    RunStatus.SUCCEEDED: "green",
    RunStatus.PARTIAL: "yellow",
    RunStatus.FAILED: "red",
    RunStatus.ABANDONED: "red",
    RunStatus.RUNNING: "cyan",
}


def make_table(*titles: str, wrap: bool = True) -> Table:
    """A table without lines, its columns by title.

    A title that starts with > is right-aligned. ~ takes the space that is left and is cut off where
    the terminal is narrow; / breaks long words instead of cutting them off. The other columns wrap,
    unless `wrap` is False.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        fills = title.startswith("~")
        table.add_column(
            title.lstrip(">~/"),
            justify="right" if title.startswith(">") else "left",
            no_wrap=not wrap and not fills,
            ratio=1 if fills else None,
            overflow="fold" if title.startswith("/") else "ellipsis",
        )
    return table
