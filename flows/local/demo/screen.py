"""How the guided run looks: numbered steps, checks with a mark."""

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
PLAIN_WIDTH = 110  # columns of a log


class DemoError(MirrorError):
    """A step of the guided run failed."""


class Screen:
    """Writes to the terminal; counts steps and checks."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PLAIN_WIDTH
        self.checks = 0
        self._step = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the guided run started."""
        return time.monotonic() - self._started

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for commands shown here: width, and colours if we have any."""
        colours = {"FORCE_COLOR": "1"} if self.console.is_terminal else {}
        return {"COLUMNS": str(self.console.width - INDENT[3]), **colours}

    def opening(self, title: str, words: str) -> None:
        """Print the title."""
        self.console.print(Panel(words, title=f"[bold]{title}[/bold]", border_style="cyan"))

    def step(self, title: str, words: str) -> None:
        """Start a step: what it shows."""
        self._step += 1
        self.console.print()
        self.console.print(f"[bold cyan]{self._step}  {escape(title)}[/bold cyan]")
        self.console.print(Padding(f"[dim]{escape(words)}[/dim]", INDENT))

    def check(self, passed: bool, words: str) -> None:
        """Print a check and its result. Raises DemoError when it failed."""
        self.checks += 1
        mark = "[bold green]✓[/bold green]" if passed else "[bold red]✗[/bold red]"
        self.console.print(Padding(f"{mark} {escape(words)}", INDENT))
        if not passed:
            raise DemoError(f"demo: step {self._step} failed: {words}")

    def note(self, words: str) -> None:
        """Print a fact."""
        self.console.print(Padding(f"[dim]· {escape(words)}[/dim]", INDENT))

    def output(self, command: str, text: str) -> None:
        """Print a command as one would type it, and its output."""
        self.console.print(Padding(f"[bold]$ {escape(command)}[/bold]", INDENT))
        self.console.print(Padding(Text.from_ansi(text.rstrip()), INDENT))

    def closing(self, words: str) -> None:
        """Print the result."""
        self.console.print()
        self.console.print(Panel(words, border_style="green"))

    @contextmanager
    def busy(self, words: str) -> Iterator[None]:
        """Show a spinner in a terminal, nothing in a log."""
        with self.console.status(words):
            yield
