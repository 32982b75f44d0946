"""`python -m faults.sigterm`: SIGTERM in the middle of a large upload, whoever started the sync.

A slow way to a real docker-registry, so that an upload of 64 MB is under way when the signal comes.
Exit 1 if anything lives 20 s later, if the upload session was not cancelled (distribution 2.8
refuses that after a request that broke off, and removes the session a week later), or if the
history does not tell how the run ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
import yaml

from faults.front import Front, front_of
from faults.machine import lives
from faults.parts import parts
from faults.stage import SOURCE, TARGET
from flows.local.sample_registry.images import single
from mirror.history import Cluster
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

SIZE = 64 << 20  # bytes of the layer
RATE = 1 << 20  # bytes a second
UNDER_WAY = 2 << 20  # bytes after which the signal is sent
WITHIN = 20.0  # seconds
# The newest that had something to copy: the watch may have begun another, which the lock refuses.
_RUN = """
    SELECT status, reason, message FROM sync_run
    ORDER BY tags_changed > 0 DESC NULLS LAST, started_at DESC LIMIT 1
"""


@dataclass
class Scene:
    """Two registries with a slow way to the target, and a data folder."""

    folder: Path
    target: DockerRegistry
    front: Front

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of `mirror`."""
        with (self.folder / "out").open("ab") as output:
            return subprocess.Popen(
                [Path(sys.executable).with_name("mirror"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={
                    **os.environ,
                    "MIRROR_CONFIG": str(self.folder / "mirrors.yaml"),
                    "MIRROR_DATA_DIR": str(self.folder / "data"),
                    "PREFECT_WORKER_QUERY_SECONDS": "1",
                },
            )

    async def uploading(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the layer is on its way."""
        while self.front.uploaded < UNDER_WAY:
            if process.poll() is not None:
                raise RuntimeError((self.folder / "out").read_text())
            await asyncio.sleep(0.1)

    def last_run(self) -> tuple[str, str | None, str | None]:
        """Status, reason and message of the newest run; starts Postgres if it was stopped."""
        cluster = Cluster(self.folder / "data" / "postgres")
        with psycopg.connect(cluster.conninfo("mirror")) as connection:
            found = connection.execute(_RUN).fetchone()
        assert found is not None, "no run was recorded"
        return found[0], found[1], found[2]


def upload_cancelled(target: DockerRegistry) -> bool:
    """Whether a target keeps no upload session, or was asked to cancel it."""
    uploads = target.storage / "repositories" / TARGET / "_uploads"
    kept = uploads.exists() and any(uploads.iterdir())
    return not kept or "http.request.method=DELETE" in target.log


@asynccontextmanager
async def scene(folder: Path, every: str) -> AsyncIterator[Scene]:
    """Registries, a mirror between them, and a layer to copy."""
    with (
        docker_registry_process(folder / "source") as source,
        docker_registry_process(folder / "target") as target,
    ):
        async with front_of(target.host) as front:
            front.upload_rate = RATE
            settings = {
                "registries": {each: {"insecure": True} for each in (source.host, front.host)},
                "mirrors": {
                    "m": {
                        "source": f"{source.host}/{SOURCE}",
                        "target": f"{front.host}/{TARGET}",
                        "every": every,
                        "watch_every": "10s",
                    }
                },
            }
            (folder / "mirrors.yaml").write_text(yaml.safe_dump(settings))
            await push(source.url, SOURCE, "1.0.0", single("large", sizes=[SIZE]))
            try:
                yield Scene(folder, target, front)
            finally:
                await asyncio.to_thread(Cluster(folder / "data" / "postgres").stop)


def _itself(process: subprocess.Popen[bytes]) -> psutil.Process:
    return psutil.Process(process.pid)


def _part(words: str) -> Callable[[subprocess.Popen[bytes]], psutil.Process]:
    def find(process: subprocess.Popen[bytes]) -> psutil.Process:
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if words in " ".join([*each.cmdline(), ""]):
                    return each
        raise LookupError(words)

    return find


@dataclass(frozen=True)
class Case:
    """A command that syncs, and who gets the signal."""

    command: tuple[str, ...]
    who: Callable[[subprocess.Popen[bytes]], psutil.Process] = _itself
    every: str = "1h"


WORKER = "worker"
_UP = ("up", "--ui-port=0", "--site-port=0")
CASES = {
    "mirror sync": Case(("sync", "m")),
    "mirror watch": Case(("watch",)),
    "mirror up": Case(_UP),
    "watch of mirror up": Case(_UP, _part("/mirror watch ")),
}


async def stop(case: Case) -> dict[str, Any]:
    """One signal; what was left of it."""
    with tempfile.TemporaryDirectory(prefix="faults-sigterm-") as name:
        async with scene(Path(name), case.every) as on:
            process = on.begin(*case.command)
            try:
                await asyncio.wait_for(on.uploading(process), 400)
                asked = case.who(process)
                everything = [asked, *asked.children(recursive=True)]
                asked.send_signal(signal.SIGTERM)
                began = time.monotonic()
                gone, _ = await asyncio.to_thread(psutil.wait_procs, everything, WITHIN + 10)
                alive = [each for each in everything if lives(each)]
                found: dict[str, Any] = {
                    "seconds": round(time.monotonic() - began, 1),
                    "exit": next(
                        (getattr(each, "returncode", None) for each in gone if each == asked), None
                    ),
                    "left": [" ".join(each.cmdline()) for each in alive],
                }
                await asyncio.sleep(1)  # what was under way at the registry
                found["upload_cancelled"] = upload_cancelled(on.target)
                found["run"] = await asyncio.to_thread(on.last_run)
                found["said"] = (on.folder / "out").read_text(errors="replace").splitlines()[-3:]
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    with suppress(subprocess.TimeoutExpired):
                        await asyncio.to_thread(process.wait, 60)
                    process.kill()
            told = found["run"][0] in ("abandoned", "failed", "partial", "succeeded")
            fast = found["seconds"] <= WITHIN and not found["left"]
            return found | {"well": fast and told and found["upload_cancelled"]}


@contextmanager
def ignoring_sigint() -> Iterator[None]:
    """Start processes as a shell starts those in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def stop_worker() -> dict[str, Any]:
    """The same for a flow run of a worker, which gets the signal as `docker stop` sends it."""
    with tempfile.TemporaryDirectory(prefix="faults-sigterm-") as name:
        async with parts(Path(name), Random(1), mirror={"every": "1h"}, upload_rate=RATE) as on:
            await on.push(SIZE)
            with ignoring_sigint():
                await on.start("worker")
                await on.run_now("sync/m")
            for _ in range(4000):
                if on.front.uploaded >= UNDER_WAY:
                    break
                await asyncio.sleep(0.1)
            else:
                raise RuntimeError(on.log("worker"))
            asked = on.process("worker")
            flow_runs = asked.children(recursive=True)
            seconds = await on.stop("worker", kill=False)
            await asyncio.to_thread(psutil.wait_procs, flow_runs, max(0.0, WITHIN - seconds))
            left = [" ".join(each.cmdline()) for each in flow_runs if lives(each)]
            await asyncio.sleep(1)  # what was under way at the registry
            run = on.rows(_RUN)[0]
            cancelled = upload_cancelled(on.target)
            well = seconds <= WITHIN and not left and run["status"] != "running" and cancelled
            return {
                "seconds": round(seconds, 1),
                "left": left,
                "upload_cancelled": cancelled,
                "run": (run["status"], run["reason"], run["message"]),
                "said": on.log("worker").splitlines()[-3:],
                "well": well,
            }


async def _main(names: list[str]) -> bool:
    found = {}
    for name in names:
        found[name] = await (stop_worker() if name == WORKER else stop(CASES[name]))
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))
    return all(each["well"] for each in found.values())


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults.sigterm", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*CASES, WORKER], default=[])
    return 0 if asyncio.run(_main(parser.parse_args().only or [*CASES, WORKER])) else 1


if __name__ == "__main__":
    sys.exit(main())
