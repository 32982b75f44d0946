"""Which errors of a flow run Prefect retries.

Flows have no retry_condition_fn, as tasks do: Prefect's server decides, by the policy of the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import get_client
from prefect.client.schemas.objects import FlowRunPolicy
from prefect.context import FlowRunContext

from flows.orchestration.states import OutcomeError
from mirror.errors import ConfigError
from mirror.outcome import Reason, RunOutcome

# What a person, or the quota's window, has to change. A later scheduled run tries it again.
_CANNOT_HEAL = frozenset(
    {Reason.AUTH, Reason.NOT_FOUND, Reason.REFUSED, Reason.REFUSED_MEDIA_TYPE, Reason.QUOTA}
)


@asynccontextmanager
async def no_retries_if_hopeless() -> AsyncIterator[None]:
    """An error in the block that cannot heal ends this flow run as failed, at once.

    What a person has to correct does not heal in five minutes, and a run that waits for its retry
    holds the slot of its deployment.
    """
    try:
        yield
    except (ConfigError, OutcomeError) as error:
        context = FlowRunContext.get()
        if _cannot_heal(error) and context is not None and context.flow_run is not None:
            policy = FlowRunPolicy(retries=0, retry_delay=0)
            async with get_client() as client:
                await client.update_flow_run(context.flow_run.id, empirical_policy=policy)
        raise


def _cannot_heal(error: Exception) -> bool:
    """True for a wrong configuration, and for a run whose every failure is a refusal."""
    if isinstance(error, OutcomeError) and isinstance(error.outcome, RunOutcome):
        reasons = {failure.reason for failure in error.outcome.errors}
        return bool(reasons) and reasons <= _CANNOT_HEAL
    return isinstance(error, ConfigError)
