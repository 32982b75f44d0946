"""`mirror up` as a whole: what it costs at rest, and how soon a push is at the target."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from random import Random
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import yaml

from bench.content import MANIFEST, Content
from bench.figures import OURS, Figure
from bench.ours import BIN
from bench.process import BenchError, Process, await_url, free_port
from bench.sizes import REPOSITORY, Sizes
from bench.stage import Links, Session, Source, Stage
from mirror.history.database.embedded import Cluster

SECRET = "0123456789abcdef0123456789abcdef"
STARTS_WITHIN = 240.0  # seconds
ARRIVES_WITHIN = 120.0


class Up(Process):
    """`mirror up` with one mirror, its history and Prefect's database in a scratch folder."""

    def __init__(self, stage: Stage) -> None:
        folder = stage.root / "up"
        folder.mkdir()
        self._data = folder / "data"
        self._cluster = Cluster(self._data / "postgres")
        near, far = stage.source.server.host, stage.target.host
        config = folder / "mirrors.yaml"
        mirror = {"source": f"{near}/{REPOSITORY}", "target": f"{far}/copy/app", "every": "1d"}
        config.write_text(
            yaml.safe_dump(
                {
                    "registries": {
                        near: {"insecure": True, "hub_api": stage.hub},
                        far: {"insecure": True},
                    },
                    "mirrors": {"app": mirror},
                    "hooks": {"secret_env": "BENCH_HOOK_SECRET"},
                }
            )
        )
        port = free_port()
        self.site = f"http://127.0.0.1:{port}"
        self._target = f"http://{far}/v2/copy/app/manifests"
        env = {
            **os.environ,
            "MIRROR_CONFIG": str(config),
            "MIRROR_DATA_DIR": str(self._data),
            "BENCH_HOOK_SECRET": SECRET,
        }
        for name in ("MIRROR_DATABASE_URL", "PREFECT_API_URL", "PREFECT_HOME"):
            env.pop(name, None)
        command = [str(BIN / "mirror"), "up", "--ui-port", "0", "--site-port", str(port)]
        super().__init__(command, stage.root / "up.log", env)
        try:
            await_url(f"{self.site}/livez", self.child, STARTS_WITHIN)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop it, and the PostgreSQL that it started."""
        super().close()
        self._cluster.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def report(self, tag: str) -> None:
        """Report a push, as a service does that nothing is known of."""
        body = json.dumps({"repository": REPOSITORY, "tag": tag}).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.site}/hooks/generic/{SECRET}", body, headers, method="POST")
        with urlopen(request, timeout=10) as answer:
            if answer.status != 202:
                raise BenchError(f"the hook answered {answer.status}")

    def await_tag(self, tag: str) -> None:
        """Wait until anybody can pull the tag from the target."""
        request = Request(f"{self._target}/{tag}", headers={"Accept": MANIFEST}, method="HEAD")
        end = time.monotonic() + ARRIVES_WITHIN
        while time.monotonic() < end:
            with suppress(URLError), urlopen(request, timeout=5):
                return
            time.sleep(0.02)
        raise BenchError(f"{tag} did not arrive within {ARRIVES_WITHIN:g} s")

    def processes(self) -> dict[str, list[psutil.Process]]:
        """All its processes by the part that they belong to."""
        main = psutil.Process(self.child.pid)
        parts = {"mirror up": [main]}
        for child in main.children():
            parts.setdefault(_part(child), []).extend([child, *child.children(recursive=True)])
        with suppress(FileNotFoundError, IndexError):  # not a child of `mirror up`
            pid = int((self._cluster.folder / "postmaster.pid").read_text().split()[0])
            server = psutil.Process(pid)
            parts.setdefault("PostgreSQL", []).extend([server, *server.children()])
        return parts


def _part(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    names = {
        "prefect_server": "Prefect's server",
        "prefect_worker": "worker",
        " watchdog": "watchdog",
        " watch": "watch",
        " serve ": "site",
        "postgres": "PostgreSQL",
    }
    return next((name for word, name in names.items() if word in words), "other")


def _cpu(parts: Mapping[str, list[psutil.Process]]) -> dict[str, float]:
    """Seconds of processor time by part, those of processes that have ended included."""
    seconds: dict[str, float] = {}
    for name, processes in parts.items():
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                took = process.cpu_times()
                seconds[name] = seconds.get(name, 0.0) + sum(took[:4])
    return seconds


@contextmanager
def _running(session: Session, sizes: Sizes, links: Links) -> Iterator[tuple[Up, Source]]:
    with (
        session.source([sizes.b(tags=1)]) as source,
        session.stage(source, links) as stage,
        Up(stage) as up,
    ):
        up.await_tag(next(iter(source.digests[REPOSITORY])))
        time.sleep(sizes.up_settles)
        yield up, source


def run_idle(session: Session, sizes: Sizes, links: Links) -> None:
    """Processor time of all processes while nothing happens, and their memory."""
    with _running(session, sizes, links) as (up, _):
        for round_ in range(session.rounds):
            before, began = _cpu(up.processes()), time.monotonic()
            time.sleep(sizes.up_rests)
            parts = up.processes()
            after, seconds = _cpu(parts), time.monotonic() - began
            load = os.getloadavg()[0]
            total = {"percent_of_a_core": 0.0, "memory": 0.0}
            for name in after:
                spent = after[name] - before.get(name, 0.0)
                memory = 0.0
                for process in parts[name]:
                    with suppress(psutil.NoSuchProcess):
                        memory += process.memory_full_info().pss / 1e6
                metrics = {"percent_of_a_core": 100 * spent / seconds, "memory": memory}
                session.show(Figure("IDLE", name, OURS, round_, load, metrics))
                total = {key: total[key] + value for key, value in metrics.items()}
            session.show(Figure("IDLE", "all", OURS, round_, load, total))


def _pushes(
    letter: str, case: str, session: Session, sizes: Sizes, links: Links, *, told: bool
) -> None:
    """Push small images one by one at random times; the seconds from push to target of each."""
    chance, took = Random(83), []
    with _running(session, sizes, links) as (up, source):
        for round_ in range(sizes.up_pushes):
            time.sleep(chance.uniform(1, sizes.up_pause))
            image = sizes.e_tag(round_)
            source.push(Content(REPOSITORY, (replace(image, tag=f"2.0.{round_}"),)))
            pushed = time.monotonic()
            if told:
                up.report(f"2.0.{round_}")
            up.await_tag(f"2.0.{round_}")
            took.append(time.monotonic() - pushed)
            load = os.getloadavg()[0]
            session.show(Figure(letter, case, OURS, round_, load, {"seconds": took[-1]}))
        session.show(Figure(letter, "slowest", OURS, 0, load, {"seconds": max(took)}))


def run_hook(session: Session, sizes: Sizes, links: Links) -> None:
    """Pushes that are reported."""
    _pushes("HOOK", "reported", session, sizes, links, told=True)


def run_poll(session: Session, sizes: Sizes, links: Links) -> None:
    """Pushes that looks find."""
    _pushes("POLL", "found", session, sizes, links, told=False)
