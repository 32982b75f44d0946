"""The tree of docs/architecture.md, from the docstrings of the files. Run: scripts/tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import PACKAGES, ROOT

PAGE = ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- tree -->\n", "<!-- /tree -->\n"
_WIDTH = 34  # of a name with its indentation


def tree() -> str:
    """A fenced block with a line for each folder and file of the packages."""
    lines = [line for package in PACKAGES for line in _folder(ROOT / package, 0)]
    return "\n".join(["```", *lines, "```", ""])


def _folder(folder: Path, depth: int) -> Iterator[str]:
    yield _line(f"{'  ' * depth}{folder.name}/", folder / "__init__.py")
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            yield _line(f"{'  ' * (depth + 1)}{file.name}", file)
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").exists():
            yield from _folder(inner, depth + 1)


def _line(name: str, file: Path) -> str:
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return f"{name:<{_WIDTH}} {said.partition(chr(10))[0]}".rstrip()


def current() -> str:
    """The block that the page holds now."""
    return PAGE.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]


def main() -> None:
    """Write the block into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}{tree()}{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
