"""The modules of both packages, read but not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "mirror")
ROOMS = (
    *("flows.cli", "flows.local", "flows.orchestration", "flows.watching"),
    *("mirror.alerts", "mirror.checks", "mirror.config", "mirror.history"),
    *("mirror.history.database", "mirror.history.locks", "mirror.history.recording"),
    *("mirror.registry", "mirror.registry.http", "mirror.registry.spec"),
    *("mirror.sync", "mirror.sync.copying", "mirror.sync.tags", "mirror.website"),
)


@dataclass(frozen=True)
class Module:
    """A module's dotted name, file and syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def classes(self) -> Iterator[str]:
        """Names of its public classes."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name

    @property
    def imports(self) -> Iterator[str]:
        """Everything it imports, dotted, wherever the import is written: `a.b` or `a.b.name`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module, f"{self.name}: a relative import"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def modules() -> tuple[Module, ...]:
    """All modules of flows/ and mirror/."""
    return tuple(
        Module(_name(path), path, ast.parse(path.read_text()))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    )


def within(name: str, package: str) -> bool:
    """Whether a dotted name is `package` or lies below it."""
    return name == package or name.startswith(f"{package}.")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
