"""`mirror watchdog`: alerts even when Prefect or its schedule is dead."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import click

from flows.cli.options import config_option
from mirror.alerts import Watchdog, WatchdogRound
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError
from mirror.units import parse_duration


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command("watchdog")
@click.option("--once", is_flag=True, help="One round, then end: for cron.")
@click.option("--every", callback=_duration, default="1m", help="Between rounds (default 1m).")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, once: bool, every: timedelta) -> None:
    """Alert when no sync succeeds. Needs the record's database and the channels, nothing else.

    --once exits 1 when the record or a channel did not answer.
    """
    settings = load_settings(config)
    if once:
        done = asyncio.run(Watchdog().look(settings))
        _show(done)
        ctx.exit(1 if done.errors else 0)
    asyncio.run(_forever(settings, config, every))


async def _forever(settings: Settings, config: Path | None, every: timedelta) -> None:
    """Rounds until SIGTERM or SIGINT. mirrors.yaml is read anew each time."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    watchdog = Watchdog()
    while not over.is_set():
        try:
            settings = load_settings(config)
        except ConfigError as error:  # go on with the settings known so far
            click.echo(f"mirror: {error}", err=True)
        _show(await watchdog.look(settings))
        try:
            await asyncio.wait_for(over.wait(), every.total_seconds())
        except TimeoutError:
            continue


def _show(done: WatchdogRound) -> None:
    click.echo(done.summary)
    for error in done.errors:
        click.echo(f"mirror: {error}", err=True)
