"""Names of flow runs for Prefect's UI: what they are about, and when they began."""

from __future__ import annotations

from collections.abc import Callable

from prefect.runtime import flow_run

from mirror.outcome import utcnow


def run_name(what: str) -> Callable[[], str]:
    """A flow_run_name such as "sync NAME 11-26 20:15:03"; `what` may hold {parameter}."""

    def name() -> str:
        parameters = {key: "all" if v is None else v for key, v in flow_run.parameters.items()}
        return f"{what.format(**parameters)} {utcnow():%m-%d %H:%M:%S}"

    return name
