"""Hooks that Prefect calls when a flow run has ended.

Prefect calls them in the process that ran the flow, and not reliably: the report's schedule and
`mirror watchdog` do the same work.
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
    """Evaluate the alert rules once a sync has ended, and send new alerts."""
    settings = load_settings()
    if not settings.alerts:
        return
    # Imported only when needed: it takes a tenth of a short run's time.
    from mirror.alerts import evaluate_and_dispatch

    url = await asyncio.to_thread(database_url)
    done = await evaluate_and_dispatch(settings, url)
    log = flow_run_logger(flow_run, flow)
    for failure in done.dispatched.failures.values():
        log.warning("an alert was not sent yet: %s", failure)
