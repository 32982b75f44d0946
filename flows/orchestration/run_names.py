"""Names of flow runs for Prefect's UI: what they are about, when they began, what they did."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from mirror.outcome import utcnow


def run_name(what: str) -> Callable[[], str]:
    """A flow_run_name such as "sync NAME 11-26 20:15:03"; `what` may hold {parameter}."""

    def name() -> str:
        parameters = {key: "all" if v is None else v for key, v in flow_run.parameters.items()}
        return f"{what.format(**parameters)} {utcnow():%m-%d %H:%M:%S}"

    return name


async def add_to_run_name(essentials: str) -> None:
    """Append what the flow run did to its name, such as "sync NAME 11-26 20:15:03: 2 copied"."""
    run_id, name = flow_run.get_id(), flow_run.get_name()
    if essentials and run_id and name:
        begun = name.partition(": ")[0]  # without what an attempt before said
        async with get_client() as client:
            await client.update_flow_run(UUID(run_id), name=f"{begun}: {essentials}")
