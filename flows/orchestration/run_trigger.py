"""What started a run."""

from __future__ import annotations

from typing import Literal

from prefect.context import FlowRunContext

from mirror.outcome import Trigger

TriggerName = Literal["schedule", "watch", "manual"]


def trigger_of(given: TriggerName | None) -> Trigger:
    """What was given, else a person for a deployment's run that no schedule made."""
    if given is not None:
        return Trigger(given)
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    by_person = run is not None and run.deployment_id is not None and not run.auto_scheduled
    return Trigger.MANUAL if by_person else Trigger.SCHEDULE
