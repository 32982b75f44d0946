"""Tables and colours that commands share.

In a pipe or a file a table has all its columns, as wide as their contents, and nothing is wrapped
or cut. A terminal that is too narrow gets it without the least important columns, or with a block
per record, as with psql's `\\x auto`. Words are never broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from flows.cli.streams import displayable, make_console
from mirror.outcome import RunStatus

STATUS_COLOURS: Mapping[str, str] = {
    RunStatus.SUCCEEDED: "green",
    RunStatus.PARTIAL: "yellow",
    RunStatus.FAILED: "red",
    RunStatus.ABANDONED: "red",
    RunStatus.RUNNING: "cyan",
}
EMPTY = "-"
_GAP = "  "
_LEAST_TEXT = 24  # columns of a terminal below which a wrapped message cannot be read


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    drop: 0 for one that is always shown; of the others, the one with the highest number is dropped
    first in a terminal that is too narrow. wraps: its text may continue on the next line there.
    """

    title: str
    right: bool = False
    drop: int = 0
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below the titles of their columns, without lines."""

    columns: tuple[Column, ...]
    rows: list[tuple[Text, ...]] = field(default_factory=list)

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, a cell for each column; an empty one is shown as `-`."""
        row = [Text(cell) if isinstance(cell, str) else cell for cell in cells]
        if len(row) != len(self.columns):
            raise ValueError(f"{len(row)} cells for {len(self.columns)} columns")
        self.rows.append(tuple(row))

    def print(self, console: Console | None = None, *, indent: int = 0) -> None:
        """Print it, as wide as it is, or fitted to the console where that is a terminal."""
        console = console or make_console()
        columns = [
            replace(column, title=displayable(column.title, console.encoding))
            for column in self.columns
        ]
        rows = [tuple(_cell(cell, console.encoding) for cell in row) for row in self.rows]
        width = console.width - indent if console.is_terminal else None
        for line in _fitted(columns, rows, width):
            line.rstrip()
            console.print(Text(" " * indent) + line, soft_wrap=True)


def print_text(
    console: Console, text: str | Text, style: str = "", *, indent: int = 0, hang: int = 0
) -> None:
    """Print one line of text; in a terminal continued below, `hang` columns further in."""
    shown = _cell(Text(text) if isinstance(text, str) else text, console.encoding)
    shown.stylize_before(style)
    room = console.width - indent - hang if console.is_terminal else shown.cell_len
    for number, line in enumerate(_wrapped(shown, room)):
        console.print(Text(" " * (indent + (hang if number else 0))) + line, soft_wrap=True)


def make_table(*titles: str) -> Table:
    """A table by the titles of its columns.

    A title that starts with > is right-aligned, one with ~ may be wrapped. A number after a ? says
    how early the column is dropped in a narrow terminal: `requests?2` goes before `bytes?1`.
    """
    return Table(tuple(_column(title) for title in titles))


def _column(written: str) -> Column:
    title, _, drop = written.partition("?")
    return Column(
        title.lstrip(">~"),
        right=title.startswith(">"),
        wraps=title.startswith("~"),
        drop=int(drop or 0),
    )


def _cell(cell: Text, encoding: str) -> Text:
    shown = displayable(cell.plain, encoding)
    if not shown.strip():
        return Text(EMPTY, "dim")
    if shown == cell.plain:
        return cell
    return Text(shown, cell.spans[0].style if cell.spans else cell.style)


def _fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int | None
) -> Iterator[Text]:
    """The lines of the table at a width; None for no limit."""
    shown = list(range(len(columns)))
    while True:
        widths = {place: _widest(columns[place].title, rows, place) for place in shown}
        if width is None:
            break
        too_wide = sum(widths.values()) + len(_GAP) * (len(shown) - 1) - width
        if too_wide <= 0 or _wrap_one(columns, rows, widths, too_wide):
            break
        dropped = max(shown, key=lambda place: columns[place].drop)
        if columns[dropped].drop == 0:
            yield from _records(columns, rows, width)
            return
        shown.remove(dropped)
    yield from _lines(columns, rows, widths)
    left_out = [column.title for place, column in enumerate(columns) if place not in shown]
    if left_out:
        note = Text(f"no room for: {', '.join(left_out)}", "dim")
        yield from _wrapped(note, width or 0)


def _widest(title: str, rows: Sequence[Sequence[Text]], place: int) -> int:
    return max(cell_len(title), *(row[place].cell_len for row in rows), 0)


def _wrap_one(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text]],
    widths: dict[int, int],
    too_wide: int,
) -> bool:
    """Narrow the column that wraps by what is too much, where its words still fit."""
    for place in widths:
        if columns[place].wraps:
            longest = max(cell_len(word) for row in rows for word in row[place].plain.split())
            if widths[place] - too_wide >= max(_LEAST_TEXT, longest):
                widths[place] -= too_wide
                return True
    return False


def _lines(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text]],
    widths: Mapping[int, int],
) -> Iterator[Text]:
    """The titles, and the rows below them."""
    titles = [Text(column.title, "dim") for column in columns]
    for row in (titles, *rows):
        cells = {place: _wrapped(row[place], widths[place]) for place in widths}
        for number in range(max(map(len, cells.values()))):
            line = Text()
            for place, wide in widths.items():
                part = cells[place][number] if number < len(cells[place]) else Text()
                space = " " * (wide - part.cell_len)
                gap = _GAP if line.plain or place != min(widths) else ""
                pieces = (gap, space, part) if columns[place].right else (gap, part, space)
                line = Text.assemble(line, *pieces)
            yield line


def _records(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int
) -> Iterator[Text]:
    """Each row as a block of lines: the title of a column, and its value."""
    widest = max(cell_len(column.title) for column in columns)
    for number, row in enumerate(rows):
        if number:
            yield Text()
        for column, cell in zip(columns, row, strict=True):
            title = column.title + " " * (widest - cell_len(column.title))
            room = max(width - widest - len(_GAP), 1)
            for part in _wrapped(cell, room):
                yield Text.assemble((title, "dim"), _GAP, part)
                title = " " * widest


def _wrapped(text: Text, width: int) -> list[Text]:
    """The lines of a text, broken between words; a word that is wider stays whole."""
    if text.cell_len <= width:
        return [text]
    first, *words = text.split(" ")
    lines = [first]
    for word in words:
        if lines[-1].cell_len + 1 + word.cell_len > width:
            lines.append(word)
        else:
            lines[-1] = Text.assemble(lines[-1], " ", word)
    return lines
