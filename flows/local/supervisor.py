"""Child processes that stop when we do.

Each leads a separate process group, so that its children end with it, and writes to a separate log
file. They are stopped in reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from flows.local.data_folder import PidFile
from flows.local.log_files import keep_log_small, private_log, set_aside
from mirror.errors import MirrorError

STOP_SECONDS = 12.0  # for all together; a Prefect worker ends its flow runs first
KILL_SECONDS = 1.0  # at least, for each
HEALTH_INTERVAL = 0.1
RESTART_WAIT_MAX = 8.0
ALIVE_INTERVAL = 5.0
UNANSWERED = 6  # checks in a row without an answer, after which a program counts as frozen
PATIENCE_MAX = 8  # times as many where it was restarted for that again and again: a slow machine
STEADY_SECONDS = 300.0  # a process that ran this long is restarted after a second

Health = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Program:
    """A command to keep running.

    `inherits` decides by name which variables of this environment it gets.
    `health` says whether it serves yet; `startup_seconds` is how long that may take. `alive` says
    whether it still does, once it did: a program that is frozen is killed and started again.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    health: Health | None = None
    alive: Health | None = None
    startup_seconds: float = 60.0
    directory: Path | None = None
    inherits: Callable[[str], bool] = lambda _: True


class Child:
    """One running Program."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, log: Path, patience: int = 1
    ) -> None:
        self.program = program
        self.patience = patience
        self.log = log
        self._process = process
        self._started = time.monotonic()
        self._answered = False

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has exited."""
        return self._process.returncode is not None

    @property
    def seconds(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    async def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return await self._process.wait()

    async def unresponsive(self) -> None:
        """Wait until it is stopped, or has stopped answering."""
        unanswered = 0
        while unanswered < UNANSWERED * self.patience:
            await asyncio.sleep(ALIVE_INTERVAL)
            answers = not self._stopped() and (
                self.program.alive is None or await self.program.alive()
            )
            startup = self.program.startup_seconds * self.patience
            starting = not self._answered and self.seconds < startup
            self._answered |= answers
            unanswered = 0 if answers or starting else unanswered + 1

    def _stopped(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    async def ready(self) -> None:
        """Wait until it is healthy. Raises MirrorError when it ends or takes too long."""
        health = self.program.health
        if health is None:
            return
        while not await health():
            if self.ended:
                raise MirrorError(
                    f"{self.program.name} exited with code {self._process.returncode} during "
                    f"startup: {self._last_line()} (log: {self.log})"
                )
            if self.seconds > self.program.startup_seconds * self.patience:
                raise MirrorError(
                    f"{self.program.name} did not become healthy within "
                    f"{self.program.startup_seconds * self.patience:.0f} s (log: {self.log})"
                )
            await asyncio.sleep(HEALTH_INTERVAL)

    async def stop(self, patience: float = STOP_SECONDS) -> None:
        """End the whole group: SIGTERM, then SIGKILL after `patience` seconds."""
        if not self.ended:
            _signal_group(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience)
        # Children that outlived their leader, and a leader that ignores SIGTERM.
        _signal_group(self.pid, signal.SIGKILL)
        await self._process.wait()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "no output"


class Supervisor:
    """Starts programs one by one and stops them in reverse order.

    An async context manager: leaving it, even by an error or a signal, stops everything.
    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str] | None = None,
        pid_file: PidFile | None = None,
    ) -> None:
        self._logs = logs
        self._environment = dict(environment or {})
        self._pid_file = pid_file
        self._children: dict[str, Child] = {}
        self._patience: dict[str, int] = {}

    async def __aenter__(self) -> Supervisor:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._logs.chmod(0o700)
        return self

    async def __aexit__(self, *_: object) -> None:
        # Shielded: a second Ctrl-C must not leave programs running.
        await asyncio.shield(self.stop())

    async def start(self, program: Program) -> Child:
        """Start a program and wait until it is healthy. Raises MirrorError if it is not."""
        try:
            child = await self._launch(program)
        except OSError as error:  # a full disk, too many open files
            raise MirrorError(
                f"{program.name} cannot be started: {error.strerror} (log: {self._log(program)})"
            ) from error
        await child.ready()
        return child

    async def _launch(self, program: Program) -> Child:
        log = self._log(program)
        set_aside(log)
        with private_log(log) as output:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **{name: value for name, value in os.environ.items() if program.inherits(name)},
                    **self._environment,
                    **program.environment,
                },
                cwd=program.directory,
                start_new_session=True,
            )
        child = Child(program, process, log, self._patience.get(program.name, 1))
        self._children[program.name] = child
        if self._pid_file is not None:
            self._pid_file.add(child.pid)
        return child

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"

    def running(self, name: str) -> int | None:
        """The process id of a program that was started here and still runs, else None."""
        child = self._children.get(name)
        return None if child is None or child.ended else child.pid

    async def keep_running(self, program: Program, say: Callable[[str], None]) -> None:
        """Restart a program whenever it exits or freezes, more slowly if it exits soon.

        Never returns.
        """
        wait = 0.5
        while True:
            child = self._children.get(program.name)
            if child is not None:
                what = await _until_ended(child, say)
                # One that has only just been started and does not answer may be slow, not frozen:
                # started anew every time it would never be up.
                slow = not child.ended and child.seconds < STEADY_SECONDS
                self._patience[program.name] = min(2 * child.patience, PATIENCE_MAX) if slow else 1
                await child.stop(KILL_SECONDS)
                wait = 1.0 if child.seconds > STEADY_SECONDS else min(wait * 2, RESTART_WAIT_MAX)
                say(f"{program.name} {what}; restarting in {wait:.0f} s (log: {child.log})")
                await asyncio.sleep(wait)
            try:
                await self.start(program)
            except MirrorError as error:
                say(str(error))

    async def stop(self) -> None:
        """Stop everything, last started first."""
        end = time.monotonic() + STOP_SECONDS
        while self._children:
            _, child = self._children.popitem()
            await child.stop(max(KILL_SECONDS, end - time.monotonic()))
        if self._pid_file is not None:
            self._pid_file.clear()


async def _until_ended(child: Child, say: Callable[[str], None]) -> str:
    """Wait until it has exited or stopped answering; says which. Its log stays small meanwhile."""
    exited = asyncio.create_task(child.wait())
    frozen = asyncio.create_task(child.unresponsive())
    bounding = asyncio.create_task(keep_log_small(child.log, say))
    try:
        await asyncio.wait({exited, frozen, bounding}, return_when=asyncio.FIRST_COMPLETED)
        if bounding.done():
            bounding.result()
        return f"exited with code {exited.result()}" if exited.done() else "does not answer"
    finally:
        for task in (exited, frozen, bounding):
            task.cancel()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
