"""`mirror watchdog`: alerts even when Prefect or its schedule is down."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import click

from flows.cli.options import as_duration, config_option, report_error
from flows.orchestration import Reaper, keep_reaping
from mirror.alerts import Watchdog, WatchdogRound
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError


@click.command("watchdog")
@click.option("--once", is_flag=True, help="One round, then exit: for cron.")
@click.option("--every", callback=as_duration, default="1m", help="Between rounds (default 1m).")
@click.option(
    "--work-pool",
    default="mirrors",
    show_default=True,
    help="Where PREFECT_API_URL is set: end the dead flow runs of this work pool.",
)
@config_option
@click.pass_context
def command(
    ctx: click.Context, config: Path | None, once: bool, every: timedelta, work_pool: str
) -> None:
    """Alert when no sync succeeds. Needs only the history database and the channels.

    Where PREFECT_API_URL is set, it also ends flow runs whose process is gone, and those of hours
    without a worker, except the last. --once exits 1 when the database or a channel does not
    respond.
    """
    settings = load_settings(config)
    if once:
        done = asyncio.run(Watchdog().look(settings))
        _show(done)
        ctx.exit(1 if done.errors else 0)
    asyncio.run(_forever(settings, config, every, work_pool))


async def _forever(
    settings: Settings, config: Path | None, every: timedelta, work_pool: str
) -> None:
    """Rounds until SIGTERM or SIGINT. mirrors.yaml is read again each time."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    watchdog = Watchdog()
    reaping: asyncio.Task[None] | None = None
    if api_url := os.environ.get("PREFECT_API_URL"):
        reaping = asyncio.create_task(keep_reaping(Reaper(api_url, work_pool), click.echo))
    while not over.is_set():
        try:
            settings = load_settings(config)
        except ConfigError as error:  # goes on with the previous settings
            report_error(str(error))
        _show(await watchdog.look(settings))
        try:
            await asyncio.wait_for(over.wait(), every.total_seconds())
        except TimeoutError:
            continue
    if reaping is not None:
        reaping.cancel()


def _show(done: WatchdogRound) -> None:
    click.echo(done.summary)
    for error in done.errors:
        report_error(str(error))
