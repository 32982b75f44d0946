"""A year of retention: what is left in Prefect's database and in the history."""

from __future__ import annotations

import asyncio
import tempfile
import time as real_time
from pathlib import Path
from typing import Any

from simulation.prefect_year import prefect_year


def year(days: int, share: float) -> dict[str, Any]:
    """So many days with a share of the runs of each. `well`: nothing grows after the retention."""
    began = real_time.monotonic()
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        figures = asyncio.run(prefect_year(Path(folder), days, share))
    return {**figures, "seconds": round(real_time.monotonic() - began, 1)}
