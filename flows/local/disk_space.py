"""Whether the disk of the data folder has room, for /healthz and the terminal of `mirror up`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOK_EVERY: Final = 10.0  # seconds
_ROOM: Final = 1 << 30  # bytes that must be free, or the share if the disk is small
_ROOM_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What is free at a folder, in bytes."""

    folder: Path
    free: int
    total: int

    @property
    def enough(self) -> bool:
        """Whether Postgres, logs and site can go on for a while."""
        return self.free >= min(_ROOM, self.total * _ROOM_SHARE)

    @property
    def message(self) -> str:
        """What is free and, where that is too little, what to do: one line."""
        shown = f"{self.free / 1e9:.1f} of {self.total / 1e9:.1f} GB free at {self.folder}"
        return shown if self.enough else f"{shown}: free space, or move MIRROR_DATA_DIR"


def disk_space(folder: Path) -> DiskSpace:
    """What is free at a folder, or where it will be made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return DiskSpace(folder, usage.free, usage.total)


async def report_disk(folder: Path, say: Callable[[str], None]) -> None:
    """Say once that room is short, and once that there is enough again. Never returns."""
    short = False
    while True:
        space = await asyncio.to_thread(disk_space, folder)
        if space.enough == short:  # it has changed
            short = not space.enough
            say(f"the disk is full: {space.message}" if short else f"the disk: {space.message}")
        await asyncio.sleep(LOOK_EVERY)
