"""Runs of an entry's deployment, each for a part of its repositories: workers share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.context import FlowRunContext
from prefect.deployments.flow_runs import arun_deployment

MOST_IN_A_RUN = 100  # mirrors: seconds to minutes of work, beside three seconds to start a process


def parts_of(mirrors: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Mirrors in parts of about the same size, as few as MOST_IN_A_RUN allows; none for none."""
    count = -(-len(mirrors) // MOST_IN_A_RUN)
    return tuple(
        tuple(mirrors[len(mirrors) * at // count : len(mirrors) * (at + 1) // count])
        for at in range(count)
    )


async def start_entry_runs(
    entry: str, parts: Sequence[Sequence[str]], parameters: dict[str, Any]
) -> None:
    """Start a run of the entry's deployment for each part, without waiting for their end."""
    for part in parts:
        await arun_deployment(
            f"sync-entry/{entry}",
            parameters={"entry": entry, "mirrors": list(part), **parameters},
            timeout=0,
            as_subflow=False,
        )


def is_deployed_run() -> bool:
    """Whether the flow run that runs is one of a deployment, which workers carry out."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return run is not None and run.deployment_id is not None
