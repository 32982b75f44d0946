"""A full disk is said once, in one line, and so is its end."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.local import disk_space
from flows.local.disk_space import report_disk

GB = 10**9


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


async def test_a_full_disk_and_its_end_are_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = shutil.disk_usage(tmp_path).total
    free, looks = 50 * GB, 0
    said: list[str] = []

    def usage(_: Path) -> tuple[int, int, int]:
        nonlocal looks
        looks += 1
        return Usage(total, total - free, free)

    # No disk of this machine may be filled: `python -m faults.disk` does that.
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(disk_space, "LOOK_EVERY", 0.001)
    reporting = asyncio.create_task(report_disk(tmp_path / "not" / "yet", said.append))
    for now_free in (50 * GB, 0, 50 * GB, 0):
        free, seen = now_free, looks
        for _ in range(10_000):
            if looks >= seen + 4:
                break
            await asyncio.sleep(0.001)
    reporting.cancel()
    shown = f"of {total / 1e9:.1f} GB free at {tmp_path / 'not' / 'yet'}"
    full = f"the disk is full: 0.0 {shown}: free space, or move MIRROR_DATA_DIR"
    assert said == [full, f"the disk: 50.0 {shown}", full]
