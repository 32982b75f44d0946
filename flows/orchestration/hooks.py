"""What happens when a flow run ends, beside what the flow itself does.

Prefect calls hooks in the process that ran the flow and does not promise to: what they do here is
done by the report's schedule and by `mirror watchdog` as well.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.logging.loggers import flow_run_logger

from mirror.config import load_settings
from mirror.history import database_url


async def alert(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Look at the record once a sync has ended, and send what there is to tell."""
    settings = load_settings()
    if not settings.alerts:
        return
    # Imported where there is something to evaluate: a tenth of the time that a short run takes.
    from mirror.alerts import evaluate_and_dispatch

    url = await asyncio.to_thread(database_url)
    done = await evaluate_and_dispatch(settings, url)
    log = flow_run_logger(flow_run, flow)
    for failure in done.dispatched.failures.values():
        log.warning("an alert waits for its channel: %s", failure)
