"""`mirror up`: the stack, the schedules of mirrors.yaml, a worker, the watches and the site."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.local.disk_space import report_disk
from flows.local.ports import address, choose_port
from flows.local.postgres_keeper import keep_postgres
from flows.local.prefect_programs import (
    WORK_POOL,
    returns_200,
    worker_program,
    wrote_within,
)
from flows.local.stack import Stack, running_stack
from flows.local.supervisor import Program
from flows.orchestration import PUBLISH, WATCH, Reaper, deploy, planned, run_now
from mirror.config import Settings
from mirror.environment import BASIC
from mirror.units import format_duration
from mirror.website import INSTALL, missing_libraries

RUNS_BESIDE = 8  # runs at once besides a long one for each mirror


async def run_machine(
    settings: Settings, host: str, ui_port: int, site_port: int, site: Path
) -> None:
    """Start everything, print the addresses, and keep it running until cancelled.

    The Postgres of the data folder is stopped with everything else, whichever process started it.
    Without the libraries of the site everything else runs.
    Raises MirrorError, with nothing left running, when a part does not come up.
    """
    console = Console(highlight=False)
    # The watch is a program here, which needs no process for every look.
    deployments = [each for each in planned(settings) if each.full_name != WATCH]
    publishes = not missing_libraries()
    if not publishes:
        deployments.remove(PUBLISH)
        console.print(f"no site and no /metrics here: {INSTALL} adds them", markup=False)
    running = False
    try:
        async with AsyncExitStack() as parts:
            with console.status("starting Postgres and Prefect's server ..."):
                stack = await parts.enter_async_context(
                    running_stack(host, ui_port, own_postgres=True)
                )
            with console.status("registering the schedules, starting worker and site ..."):
                await deploy(stack.api_url, tuple(deployments), WORK_POOL, Path.cwd())
                # Before the worker starts, which would take up all that is late.
                async with Reaper(stack.api_url, WORK_POOL) as reaper:
                    for ended in await reaper.look(at_once=True):
                        console.print(ended, style="dim", markup=False)
                programs = _programs(settings, stack, site, host, site_port)
                for program in programs:
                    await stack.supervisor.start(program)
                if publishes:  # a first site, without waiting for the schedule
                    await run_now(stack.api_url, PUBLISH.full_name)
            running = True
            login = f"Prefect's UI asks for a login, which this prints: {stack.show_login}"
            console.print(login, markup=False, soft_wrap=True)
            console.print(_summary(settings, stack, address(host, site_port)))
            parts.callback(console.print, "stopping ...")
            async with asyncio.TaskGroup() as keepers:
                keepers.create_task(report_disk(stack.data, console.print))
                for program in (stack.server, *programs):
                    keepers.create_task(stack.supervisor.keep_running(program, console.print))
                if stack.postgres is not None:
                    keepers.create_task(keep_postgres(stack.postgres, console.print))
    finally:
        if running:
            console.print("stopped")


def _programs(
    settings: Settings, stack: Stack, site: Path, host: str, site_port: int
) -> tuple[Program, ...]:
    site_url = address(host, site_port)
    environment = {
        **stack.environment,
        "MIRROR_CONFIG": str(settings.path.resolve()),
        "MIRROR_SITE_DIR": str(site),
        "MIRROR_SITE_LISTENS": site_url,  # no registry may lead a request there
    }
    mirror = str(Path(sys.executable).with_name("mirror"))
    hook_secret = settings.hooks.secret_env if settings.hooks else None
    of_registries = _registry_variables(settings)
    watch = Program(name="watch", command=(mirror, "watch"), environment=environment)
    watchdog = Program(
        name="watchdog",
        command=(mirror, "watchdog"),
        environment=environment,
        # It writes a line a minute.
        alive=wrote_within(stack.data / "logs" / "watchdog.log", 180),
        inherits=lambda name: name not in of_registries,
    )
    served = Program(
        name="site",
        command=(mirror, "serve", str(site), "--host", host, "--port", str(site_port)),
        environment=environment,
        health=returns_200(f"{site_url}/livez"),
        alive=returns_200(f"{site_url}/livez"),
        inherits=lambda name: name in BASIC or name in ("MIRROR_DATABASE_URL", hook_secret),
    )
    worker = worker_program(
        stack.api_url,
        stack.prefect_home,
        choose_port("127.0.0.1", 0, "the worker's health", "--host"),
        len(settings.mirrors) + RUNS_BESIDE,
        environment,
    )
    return worker, watch, watchdog, served


def _registry_variables(settings: Settings) -> frozenset[str]:
    """The variables of the environment that hold credentials of registries."""
    named = (
        name
        for registry in settings.registries.values()
        for name in (registry.username_env, registry.password_env)
    )
    aliyun = {"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}
    return frozenset(name for name in named if name) | aliyun


def _summary(settings: Settings, stack: Stack, site_url: str) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for mirror in settings.policies:
        of_many = mirror.name in settings.entries
        watched = format_duration(mirror.watch_every if of_many else mirror.looks_every)
        every = format_duration(mirror.every)
        table.add_row(mirror.name, f"{mirror.source} → {mirror.target}")
        table.add_row("", f"[dim]full sync every {every}, watched every {watched}[/dim]")
    table.add_row()
    table.add_row("Prefect", stack.ui_url)
    table.add_row("Site", site_url)
    table.add_row("Metrics", f"{site_url}/metrics")
    table.add_row("History", 'mirror status · mirror report · mirror sql "SELECT ..."')
    table.add_row("Logs", str(stack.data / "logs"))
    table.add_row("Stop", "Ctrl-C")
    return table
