"""A new tag arrives although `mirror up` lost a part, or all of them while runs were starting."""

from __future__ import annotations

from pathlib import Path

import psutil

from mirror.history import Cluster
from tests.local.survival import FAULTS, machine


async def test_a_tag_arrives_after_a_power_cut_and_nothing_is_left_at_the_end(
    tmp_path: Path,
) -> None:
    async with machine(tmp_path) as running:
        for name in ("postgres-killed", "power-cut"):
            fault, part = FAULTS[name]
            await fault(running, part)
            await running.arrival(await running.release())
        assert running.process is not None
        everything = running.process.children(recursive=True)
        await running.stop()
        _, left = psutil.wait_procs(everything, timeout=20)
        assert not left
        assert Cluster(running.folder / "data" / "postgres").socket_dir() is None
