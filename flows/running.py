"""How commands run flows in this process: the event loop, Prefect's settings, its server."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx

from flows.errors import PrefectError

T = TypeVar("T")
_DEFAULTS = {
    # Without a network telemetry only logs errors.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The command's own output says what happened; Prefect's log stays for the UI.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_ROOT_LEVEL": "ERROR",  # its workers warn there when a busy machine is slow
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "CRITICAL",
    "PREFECT_SHOW_UI_URL": "false",
}


def prepare_prefect() -> None:
    """Settle Prefect's settings and see that its server answers. Call before importing prefect.

    Raises PrefectError when PREFECT_API_URL names a server that does not answer.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return
    try:
        # The authorities are read (50 ms) only where there is TLS.
        tls = url.startswith("https:")
        health = f"{url.rstrip('/')}/health"
        httpx.get(health, timeout=5, trust_env=False, verify=tls).raise_for_status()
    except httpx.HTTPError as error:
        raise PrefectError(
            f"Prefect's server does not answer at {url} ({type(error).__name__}): start it, or"
            " unset PREFECT_API_URL to run with a temporary one"
        ) from error


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on uvloop where there is one.

    The garbage collector is let run less often than its defaults would, which are for small heaps:
    with Prefect's 130 MB behind it, it took a tenth of a sync's processor time.
    """
    gc.set_threshold(50_000, 20, 50)
    try:
        from uvloop import new_event_loop
    except ImportError:  # not made for Windows
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
