"""The npm packages that the site's tests check with (tests/website/package-lock.json)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def installed(package: str) -> Path:
    """The folder of a package that `npm ci` has installed."""
    folder = FOLDER / "node_modules" / package
    if not folder.is_dir():
        raise RuntimeError(f"{package} is not installed: run `npm ci --prefix tests/website`")
    return folder
