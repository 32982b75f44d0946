"""CHANGELOG.md of the project as a page."""

from __future__ import annotations

from pathlib import Path

from mirror.website.sources import site_folder


def changelog() -> str:
    """The Markdown below the title of CHANGELOG.md; empty when the installation has none."""
    for path in (site_folder() / "CHANGELOG.md", site_folder().parent / "CHANGELOG.md"):
        if path.is_file():
            return _below_title(path)
    return ""


def _below_title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    body = lines[1:] if lines and lines[0].startswith("# ") else lines
    return "\n".join(body).strip() + "\n"
