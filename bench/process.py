"""Processes that the harness starts on loopback and stops again: links, registries, servers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from bench.shape import UNSHAPED, Shape, Traffic

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0
STORES = 12 * 10**9
"""Bytes that two registries with 4 GB each need, including what runs with them."""


class BenchError(Exception):
    """The bench failed; the message says what to check."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_url(url: str, process: subprocess.Popen[bytes], seconds: float = 90.0) -> None:
    """Wait until `url` answers; BenchError when it does not or its process has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"what should answer at {url} ended with code {process.returncode}")
        with contextlib.suppress(OSError), urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    raise BenchError(f"{url} did not answer within {seconds:g} s")


def roomy_memory() -> Path | None:
    """A folder in memory with room for both registries of the largest workload, if there is one.

    On a disk a registry spends more of the processor on its file system than on its work, and waits
    for it, all of which counts against the tool that is measured.
    """
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < STORES:
        return None
    return folder


class Process:
    """A child process in a separate process group, with its output in a file."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        pipe: bool = False,
    ) -> None:
        self._log = log.open("ab")
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else self._log,
            stderr=self._log,
            env=env,
            start_new_session=True,
        )

    def close(self) -> None:
        """Stop it: by SIGTERM, then by SIGKILL."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(STOP_SECONDS)
                break
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Served(Process):
    """A module of the bench that prints its port and ends with its standard input."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        super().__init__([sys.executable, "-m", *arguments], log, env, pipe=True)
        self.port = int(self._answer())
        self.host = f"127.0.0.1:{self.port}"

    def _answer(self) -> bytes:
        line = self.child.stdout.readline() if self.child.stdout is not None else b""
        if not line:
            raise BenchError(f"a process of the bench ended; see {self._log.name}")
        return line


class LinkProcess(Served):
    """A link emulator (`bench.link`) in front of a server, on the same address."""

    def __init__(
        self, server_port: int, log: Path, shape: Shape = UNSHAPED, address: str = LOOPBACK
    ) -> None:
        super().__init__(["bench.link", f"{address}:{server_port}", shape.to_json()], log)
        self.host = f"{address}:{self.port}"

    def shape(self, shape: Shape) -> Traffic:
        """Change the link; returns what passed before. Connections that are open go on."""
        return self._send(shape.to_json())

    def traffic(self) -> Traffic:
        """What has passed since the link was shaped."""
        return self._send("")

    def _send(self, line: str) -> Traffic:
        if self.child.stdin is None:
            raise BenchError("a link has no standard input")
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        return Traffic(**json.loads(self._answer()))


class HubProcess(Served):
    """Docker Hub's web API (`bench.hub`) over a listing that may be rewritten at any time."""

    def __init__(self, listing: Path, log: Path, address: str = LOOPBACK) -> None:
        super().__init__(["bench.hub", str(listing), address], log)
        self.host = f"{address}:{self.port}"


class RegistryServer(Process):
    """Debian's docker-registry on loopback with its storage in `root`, which may exist.

    In production it runs on another machine. Here it shares the processors with what is measured,
    so it logs errors only and collects garbage a quarter as often as Go does by default.
    """

    def __init__(self, root: Path, address: str = LOOPBACK) -> None:
        self.root = root
        self.port = free_port()
        self.host = f"{address}:{self.port}"
        root.mkdir(parents=True, exist_ok=True)
        config = root.with_suffix(".yml")
        config.write_text(
            "version: 0.1\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {root}, maxthreads: 1000}},"
            " delete: {enabled: true}}\n"
            f"http: {{addr: '{self.host}'}}\n"
        )
        command = ["docker-registry", "serve", str(config)]
        super().__init__(command, root.with_suffix(".log"), {**os.environ, "GOGC": "400"})
        await_url(f"http://{self.host}/v2/", self.child)

    def discard(self) -> None:
        """Stop it and remove what it holds."""
        self.close()
        shutil.rmtree(self.root, ignore_errors=True)
