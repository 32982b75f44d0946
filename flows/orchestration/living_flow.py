"""Flow runs that are seen to be alive, and do one piece of work at a time.

Prefect's own limit for this, a deployment's concurrency limit, stays taken for good when its holder
or Prefect's server dies at the wrong moment. The history's server frees what a dead process held.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled

from flows.orchestration.ending import ending_in_order
from flows.orchestration.redacting import redacting
from mirror.history import AlreadyRunning, as_living_run, database_url

P = ParamSpec("P")
Body = Callable[P, Coroutine[Any, Any, State[Any]]]


def living(body: Body[P]) -> Body[P]:
    """Show that the deployment's run is alive while the function runs (mirror.history)."""
    return _living(body, alone=False)


def living_alone(body: Body[P]) -> Body[P]:
    """The same, and end as Cancelled while another run of that flow and those parameters is alive.

    Runs by hand, which have no deployment, are neither shown nor refused.
    """
    return _living(body, alone=True)


def _living(body: Body[P], *, alone: bool) -> Body[P]:
    @functools.wraps(body)
    async def living_body(*args: P.args, **kwargs: P.kwargs) -> State[Any]:
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        if context is None or run is None or run.deployment_id is None:
            return await body(*args, **kwargs)
        flow = "" if context.flow is None else context.flow.name
        values = [f"{name}={value}" for name, value in sorted((run.parameters or {}).items())]
        work = " ".join([flow, *values]) if alone else None
        url = await asyncio.to_thread(database_url)
        try:
            return await ending_in_order(
                as_living_run(url, str(run.id), work, body(*args, **kwargs))
            )
        except AlreadyRunning as other:
            return Cancelled(message=str(other))

    return redacting(living_body)
