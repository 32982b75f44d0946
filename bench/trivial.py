"""How fast this machine is: 1,000 task runs that do nothing, gathered in one flow.

`python -m bench.trivial` prints the seconds, against the server of PREFECT_API_URL. The goals were
set on a machine on which it takes REFERENCE seconds; figures that are bound by the processor can be
compared by that.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping

REFERENCE = 3.2
COUNT = 1000


def described(env: Mapping[str, str]) -> str:
    """Measure in a separate process; the result in words."""
    command = [sys.executable, "-m", "bench.trivial"]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    seconds = float(answer.stdout)
    return (
        f"{seconds:.1f} s for {COUNT:,} trivial task runs, {REFERENCE} s where the goals were set:"
        f" {seconds / REFERENCE:.1f} times as long"
    )


async def measure() -> float:
    """Seconds of a flow's time in which the task runs are gathered."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    @task(cache_policy=NO_CACHE, persist_result=False)
    async def nothing(number: int) -> int:
        return number

    @flow(persist_result=False)
    async def gathered() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(nothing(number) for number in range(COUNT)))
        return time.perf_counter() - began

    return await gathered()


if __name__ == "__main__":
    from flows.orchestration.in_process import prepare_prefect, run

    prepare_prefect()
    print(run(measure()))
