"""Which errors of a flow run Prefect retries.

Flows have no retry_condition_fn, as tasks do: Prefect's server decides, by the policy of the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import get_client
from prefect.client.schemas.objects import FlowRunPolicy
from prefect.context import FlowRunContext


@asynccontextmanager
async def no_retries_for(kind: type[Exception]) -> AsyncIterator[None]:
    """An error of that kind in the block ends this flow run as failed, at once.

    What a person has to correct does not heal in five minutes, and a run that waits for its retry
    holds the slot of its deployment.
    """
    try:
        yield
    except kind:
        context = FlowRunContext.get()
        if context is not None and context.flow_run is not None:
            policy = FlowRunPolicy(retries=0, retry_delay=0)
            async with get_client() as client:
                await client.update_flow_run(context.flow_run.id, empirical_policy=policy)
        raise
