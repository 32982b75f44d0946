"""`mirror watchdog`: alerts even when Prefect or its schedule is down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from flows.cli.options import as_duration, config_option, json_option
from flows.cli.streams import report_error
from flows.orchestration import Reaper, keep_reaping
from mirror.alerts import Watchdog, WatchdogRound
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError
from mirror.logs import output_as_logs

_LOOK_AT_CLOCK: Final = 10.0  # seconds


@click.command("watchdog")
@click.option("--once", is_flag=True, help="One round, then exit: for cron.")
@click.option("--every", callback=as_duration, default="1m", help="Between rounds (default 1m).")
@click.option(
    "--work-pool",
    default="mirrors",
    show_default=True,
    help="Where PREFECT_API_URL is set: end the dead flow runs of this work pool.",
)
@json_option("an object a round, and one for each line about dead flow runs")
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    once: bool,
    every: timedelta,
    work_pool: str,
    as_json: bool,
) -> None:
    """Alert when no sync succeeds. Needs only the history database and the channels.

    Where PREFECT_API_URL is set, it also ends flow runs whose process is gone, and those of hours
    without a worker, except the last. --once exits 1 when the database or a channel does not
    respond.
    """
    settings = load_settings(config)
    if once:
        done = asyncio.run(Watchdog().look(settings))
        _show(done, as_json)
        ctx.exit(1 if done.errors else 0)
    with nullcontext() if as_json else output_as_logs("mirror.watchdog"):
        asyncio.run(_forever(settings, config, every, work_pool, as_json))


async def _forever(
    settings: Settings, config: Path | None, every: timedelta, work_pool: str, as_json: bool
) -> None:
    """Rounds until SIGTERM or SIGINT. mirrors.yaml is read again each time."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    watchdog = Watchdog()
    reaping: asyncio.Task[None] | None = None
    if api_url := os.environ.get("PREFECT_API_URL"):

        def say(line: str) -> None:
            click.echo(json.dumps({"flow_runs": line}) if as_json else line)

        reaping = asyncio.create_task(keep_reaping(Reaper(api_url, work_pool), say))
    while not over.is_set():
        try:
            settings = load_settings(config)
        except ConfigError as error:  # goes on with the previous settings
            report_error(str(error))
        _show(await watchdog.look(settings), as_json)
        await _wait(over, every.total_seconds(), watchdog)
    if reaping is not None:
        reaping.cancel()


async def _wait(over: asyncio.Event, seconds: float, watchdog: Watchdog) -> None:
    """Wait so long, until it is over, or until a round should not wait."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), min(left, _LOOK_AT_CLOCK))
        if over.is_set() or watchdog.in_a_hurry:
            return


def _show(done: WatchdogRound, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        click.echo(done.summary)
    for error in done.errors:
        report_error(str(error))
