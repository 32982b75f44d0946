"""`mirror` as a separate process, as an operator or a schedule runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.local.demo.screen import DemoError

MIRROR = str(Path(sys.executable).with_name("mirror"))


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """What the steps read of `mirror sync --json` for one mirror. Bytes and seconds."""

    status: str
    discovered: int
    changed: int
    copied: int
    blobs_copied: int
    bytes_copied: int
    source_requests: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> SyncSummary:
        """Read the JSON list with one mirror in it."""
        (body,) = json.loads(text)
        tags = body["tags"]
        return cls(
            status=body["status"],
            discovered=tags["discovered"],
            changed=tags["changed"],
            copied=tags["copied"],
            blobs_copied=body["blobs"]["copied"],
            bytes_copied=body["bytes_copied"],
            source_requests=body["requests"]["source"],
            seconds=body["seconds"]["total"],
        )


@dataclass(frozen=True, slots=True)
class MirrorCommand:
    """The command `mirror` in the environment of the guided run."""

    environment: Mapping[str, str]
    log: Path

    async def start(self, *arguments: str, output: int | None = None) -> asyncio.subprocess.Process:
        """Start `mirror` with these arguments; its stderr goes to the log."""
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                MIRROR,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    async def run(self, *arguments: str) -> str:
        """Run `mirror` and return its output. Raises DemoError when it fails."""
        process = await self.start(*arguments, output=asyncio.subprocess.PIPE)
        try:
            printed, _ = await process.communicate()
        except asyncio.CancelledError:
            kill(process)
            raise
        if process.returncode != 0:
            raise DemoError(
                f"demo: `mirror {' '.join(arguments)}` exited with code {process.returncode}: "
                f"{self._last_line()}"
            )
        return printed.decode()

    async def sync(self, *arguments: str) -> SyncSummary:
        """The summary of `mirror sync ... --json`."""
        return SyncSummary.parse(await self.run("sync", *arguments, "--json"))

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "no output"


def kill(process: asyncio.subprocess.Process) -> None:
    """kill -9 of a process and its children."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
