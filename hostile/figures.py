"""What is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A trial and what came of it. wrong: what should not be."""

    name: str
    bound: str
    said: dict[str, Any]
    wrong: list[str]

    @property
    def outcome(self) -> str:
        """How the run ended, and its first error without the place."""
        errors = self.said.get("errors") or [[None, "", ""]]
        reason = errors[0][1]
        return f"{self.said['status']}{f', {reason}' if reason else ''}"


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| trial | bound | what happens | seconds | peak MB |", "|---|---|---|---|---|"]
    for row in rows:
        seconds, peak = row.said.get("seconds", "-"), row.said.get("peak_mb", "-")
        lines.append(f"| {row.name} | {row.bound} | {row.outcome} | {seconds} | {peak} |")
    return "\n".join(lines)
