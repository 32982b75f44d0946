"""Changes of mirrors.yaml while a process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mirror.config.load import load_settings
from mirror.config.settings import Settings
from mirror.errors import ConfigError

_EVERY: Final = 10.0  # seconds between looks at the file


async def settings_changed(
    settings: Settings, say: Callable[[str], None], every: float = _EVERY
) -> Settings:
    """Wait until mirrors.yaml says something else; what it says then.

    A file that is wrong is reported by `say`, once, and changes nothing.
    """
    seen = _contents(settings.path)
    while True:
        await asyncio.sleep(every)
        if (now := _contents(settings.path)) == seen:
            continue
        seen = now
        try:
            changed = load_settings(settings.path)
        except ConfigError as error:
            say(f"{error}; the settings before it stay in force")
            continue
        if changed != settings:
            return changed


def _contents(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # being replaced: it is read at the next look
