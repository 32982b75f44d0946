"""The flow `maintain`: what the history database needs once a day."""

from __future__ import annotations

import asyncio
from datetime import datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import living_alone, run_name
from mirror.history import (
    Maintained,
    create_engine,
    database_url,
    maintain_history,
    prepare,
)
from mirror.outcome import utcnow


@flow(name="maintain", flow_run_name=run_name("maintain"), persist_result=False)
@living_alone
async def maintain() -> State[Maintained]:
    """Create partitions ahead, roll up past days, drop months out of retention."""
    done = await asyncio.to_thread(_maintain, utcnow())
    return Completed(
        message=(
            f"partitions made {done.partitions_made}, dropped {done.partitions_dropped}; "
            f"killed runs closed {done.runs_closed}"
        ),
        data=done,
    )


def _maintain(now: datetime) -> Maintained:
    url = database_url()
    prepare(url)
    engine = create_engine(url)
    try:
        return maintain_history(engine, now)
    finally:
        engine.dispose()
