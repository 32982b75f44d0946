"""How the guided run looks: chapters with a rule, checks with a mark, figures aligned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from mirror.errors import MirrorError

INDENT = (0, 0, 0, 4)
PLAIN_WIDTH = 110  # columns where there is no terminal: a log


class TourError(MirrorError):
    """A step of the guided run did not do what it says."""


class Screen:
    """Writes to the terminal; counts chapters and checks."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PLAIN_WIDTH
        self.checks = 0
        self._chapter = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the guided run began."""
        return time.monotonic() - self._began

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command that is shown here fit: its width, and colours if we have them."""
        colours = {"FORCE_COLOR": "1"} if self.console.is_terminal else {}
        return {"COLUMNS": str(self.console.width - INDENT[3]), **colours}

    def opening(self, title: str, words: str) -> None:
        """The first thing that is seen."""
        self.console.print(Panel(words, title=f"[bold]{title}[/bold]", border_style="cyan"))

    def chapter(self, title: str, words: str) -> None:
        """Begin a chapter: what it shows."""
        self._chapter += 1
        self.console.print()
        self.console.print(f"[bold cyan]{self._chapter}  {escape(title)}[/bold cyan]")
        self.console.print(Padding(f"[dim]{escape(words)}[/dim]", INDENT))

    def check(self, holds: bool, words: str) -> None:
        """Say that something holds. Raises TourError when it does not."""
        self.checks += 1
        mark = "[bold green]✓[/bold green]" if holds else "[bold red]✗[/bold red]"
        self.console.print(Padding(f"{mark} {escape(words)}", INDENT))
        if not holds:
            raise TourError(f"demo: step {self._chapter} did not hold: {words}")

    def note(self, words: str) -> None:
        """A fact beside the checks."""
        self.console.print(Padding(f"[dim]· {escape(words)}[/dim]", INDENT))

    def output(self, command: str, text: str) -> None:
        """A command as one would type it, and what it printed."""
        self.console.print(Padding(f"[bold]$ {escape(command)}[/bold]", INDENT))
        self.console.print(Padding(Text.from_ansi(text.rstrip()), INDENT))

    def closing(self, words: str) -> None:
        """The last thing that is seen."""
        self.console.print()
        self.console.print(Panel(words, border_style="green"))

    @contextmanager
    def busy(self, words: str) -> Iterator[None]:
        """Show that something is under way: a spinner in a terminal, nothing in a log."""
        with self.console.status(words):
            yield
