"""Flows run by commands in this process: the event loop, Prefect's settings, its server."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

import httpx

from flows.orchestration.api_login import (
    LOGIN_ENV,
    ORIGINS_ENV,
    SERVER_ENV,
    random_login,
    use_known_login,
)
from flows.orchestration.no_proxy import bypass_proxies
from flows.orchestration.server_check import check_server
from mirror.errors import PrefectError
from mirror.history import data_dir

T = TypeVar("T")
_TEMPORARY_FAILED = "connect to ephemeral Prefect API server"
_DEFAULTS = {
    # Without a network telemetry only logs errors.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # or the client prints a notice in the middle of a progress bar
    # The command prints what happened; Prefect's log remains in the UI.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_ROOT_LEVEL": "ERROR",  # its threads warn there when the machine is busy
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "CRITICAL",
    # Its temporary server logs what it could not write when it is stopped at the end.
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SHOW_UI_URL": "false",
    # Prefect's 20 s are too few for its temporary server on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
}


def prepare_prefect() -> None:
    """Set Prefect's settings, check that its server responds, and import Prefect.

    Loopback and Prefect's server are kept off proxies. Call before importing prefect. Raises
    PrefectError when the server of PREFECT_API_URL cannot be used, ConfigError when that is wrong.
    The login of a server that `mirror up` started is found in the data folder; a temporary server
    starts with a random one.
    """
    bypass_proxies()
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    url = os.environ.get("PREFECT_API_URL")
    if url:
        use_known_login(data_dir(), url)
        check_server(url)
    else:
        os.environ.pop("PREFECT_API_URL", None)  # Prefect takes an empty one for an address
    # A million objects that stay: the garbage collector need not scan them, now or later.
    gc.disable()
    import_module("prefect.flows")
    if not url:
        _lock_temporary_server()
    gc.freeze()
    gc.enable()


def _lock_temporary_server() -> None:
    """Give the temporary server a login, unless a profile of Prefect names another server."""
    context, settings = import_module("prefect.context"), import_module("prefect.settings")
    if settings.get_current_settings().api.url is None:
        os.environ[LOGIN_ENV] = os.environ[SERVER_ENV] = random_login()
        os.environ[ORIGINS_ENV] = "null"  # CORS: of no page
        context.refresh_global_settings_context()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, on uvloop where available.

    Raises PrefectError when Prefect's server fails meanwhile.
    """
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):  # unavailable on Windows
        from uvloop import new_event_loop as make_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        try:
            return runner.run(main)
        except (httpx.HTTPError, RuntimeError) as error:
            # Registries, channels and probes raise our errors: this one is Prefect's, which wraps
            # that of its first request.
            failed = error if isinstance(error, httpx.HTTPError) else error.__cause__
            if _TEMPORARY_FAILED in str(error):
                raise PrefectError(
                    "Prefect's temporary server did not start in time: the machine is busy; try"
                    " again, or start a server and set PREFECT_API_URL"
                ) from error
            if not isinstance(failed, httpx.HTTPError):
                raise
            raise PrefectError(_server_failure(failed)) from error


def run_until_signal(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine until it ends by itself; SIGINT and SIGTERM set the event that it is given.

    It runs in a second thread: in the first one Prefect replaces the handler of SIGTERM while a
    flow runs, and ends that flow in the middle of whatever it does.
    """
    stop, made = asyncio.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def noted() -> None:
        loops.append(asyncio.get_running_loop())
        made.set()
        await main(stop)

    def stopped(*_: object) -> None:
        made.wait()
        loops[0].call_soon_threadsafe(stop.set)

    with ThreadPoolExecutor(1, thread_name_prefix="mirror") as threads:
        running = threads.submit(run, noted())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stopped)
        running.result()


def _server_failure(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        request, status = error.request, error.response.status_code
        what = f"returned {status} for {request.method} {request.url.path}"
    else:
        what = f"stopped responding ({type(error).__name__})"
    return (
        f"Prefect's server {what}: check its log. SQLite supports few concurrent runs: use"
        " PostgreSQL (PREFECT_API_DATABASE_CONNECTION_URL) or sync fewer mirrors at once"
    )
