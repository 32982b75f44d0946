"""Flows run by commands in this process: the event loop, Prefect's settings, its server."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
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
from flows.orchestration.temporary_server import use_own_server
from mirror.errors import MirrorError, PrefectError
from mirror.history import data_dir
from mirror.logs import logs_json
from mirror.stopping import note_stop

T = TypeVar("T")
_TEMPORARY_FAILED = "connect to ephemeral Prefect API server"
# The command prints what happened; Prefect's log remains in the UI.
_SILENT = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_ROOT_LEVEL": "ERROR",  # its threads warn there when the machine is busy
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "CRITICAL",
}
_DEFAULTS = {
    # Without a network telemetry only logs errors.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # or the client prints a notice in the middle of a progress bar
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
    for name, value in (_DEFAULTS if logs_json() else _DEFAULTS | _SILENT).items():
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
        use_own_server()


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
    """Run a coroutine until it ends by itself; SIGINT and SIGTERM set the event that it gets."""
    stop = asyncio.Event()
    _in_second_thread(main(stop), lambda _: stop.set(), [])


def run_or_stop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; the first SIGINT or SIGTERM cancels it, so that it can clean up.

    Raises KeyboardInterrupt or Terminated if it was cancelled so, and what `run` raises.
    """
    received: list[int] = []
    cancelled = False

    def cancel(task: asyncio.Task[Any]) -> None:
        nonlocal cancelled
        if not cancelled:  # a second one must not cancel the cleaning up
            cancelled = True
            task.cancel()

    try:
        return _in_second_thread(main, cancel, received)
    except BaseException as error:  # Prefect makes other errors of the cancellation
        if not received:
            raise
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise Terminated from error


class Terminated(MirrorError):
    """SIGTERM ended a command."""

    exit_code = 128 + signal.SIGTERM

    def __init__(self) -> None:
        super().__init__(
            "stopped by SIGTERM: what was being copied was abandoned; the next sync continues"
        )


def _in_second_thread(
    main: Coroutine[Any, Any, T],
    on_signal: Callable[[asyncio.Task[Any]], None],
    received: list[int],
) -> T:
    """Run a coroutine in a second thread; SIGINT and SIGTERM call `on_signal` in its loop.

    In the first one Prefect replaces the handler of SIGTERM while a flow runs, and raises in the
    middle of whatever the loop does: uvloop then hangs. Signals are added to `received`.
    """
    tasks: list[asyncio.Task[Any]] = []

    async def noted() -> T:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        if received:
            on_signal(task)
        return await main

    def stopped(number: int, _: object) -> None:
        received.append(number)
        note_stop(number)
        for task in tasks:  # else it sees `received` when it begins
            with suppress(RuntimeError):  # it has ended by itself meanwhile
                task.get_loop().call_soon_threadsafe(on_signal, task)

    # First, so that none is missed.
    before = {each: signal.signal(each, stopped) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="mirror") as threads:
            return threads.submit(run, noted()).result()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
