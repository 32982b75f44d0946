"""How commands run flows in this process: the event loop, Prefect's settings, its server."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

import httpx

from mirror.errors import PrefectError

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
    """Settle Prefect's settings, see that its server answers and import it.

    Call before importing prefect. Raises PrefectError when PREFECT_API_URL names a server that does
    not answer.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if url := os.environ.get("PREFECT_API_URL"):
        _see_that_it_answers(url)
    # A million objects that stay: neither now nor later does the garbage collector look at them.
    gc.disable()
    import_module("prefect.flows")
    gc.freeze()
    gc.enable()


def _see_that_it_answers(url: str) -> None:
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

    Raises PrefectError when Prefect's server fails meanwhile.
    """
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):  # not made for Windows
        from uvloop import new_event_loop as make_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        try:
            return runner.run(main)
        except (httpx.HTTPError, RuntimeError) as error:
            # Registries, channels and probes tell theirs in errors of our own: this is Prefect's,
            # which wraps the one of its first request.
            failed = error if isinstance(error, httpx.HTTPError) else error.__cause__
            if not isinstance(failed, httpx.HTTPError):
                raise
            raise PrefectError(_of_the_server(failed)) from error


def _of_the_server(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        asked, status = error.request, error.response.status_code
        what = f"answered {status} to {asked.method} {asked.url.path}"
    else:
        what = f"stopped answering ({type(error).__name__})"
    return (
        f"Prefect's server {what}: look at its log; on SQLite it stands few runs at once: give it a"
        " PostgreSQL (PREFECT_API_DATABASE_CONNECTION_URL) or sync fewer mirrors together"
    )
