"""The command `mirror` as a process, as an operator runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from prefect.settings import PREFECT_API_URL

MIRROR = Path(sys.executable).with_name("mirror")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """What it said on stderr."""
        return [line for line in self.err.splitlines() if line.strip()]


@dataclass(frozen=True)
class Command:
    """Runs `mirror` with the test's environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start it in a separate process group."""
        return self.start_program(str(MIRROR), *arguments, **environment)

    def start_program(
        self, program: str, *arguments: str, **environment: str
    ) -> subprocess.Popen[str]:
        """Start another program in the same surroundings."""
        return subprocess.Popen(
            [program, *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PREFECT_API_URL": str(PREFECT_API_URL.value()),
                **self.environment,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    async def run(self, *arguments: str, **environment: str) -> Ended:
        """Run it to its end, while this process goes on serving registries."""
        process = self.start(*arguments, **environment)
        try:
            out, err = await asyncio.to_thread(process.communicate, timeout=120)
        finally:
            if process.poll() is None:
                kill(process)
        return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, like a power failure."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
