"""What a fleet has in common: one Postgres, one Prefect server, two registries, Hub's web API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import yaml

from bench.content import Content, Pusher
from bench.fleet import NAMESPACE
from bench.hosts import SERVER, Host
from bench.hub import rows
from bench.measure import measure
from bench.ours import BIN
from bench.process import BenchError, HubProcess, LinkProcess, Process, RegistryServer, await_url
from bench.shape import Shape
from flows.local.prefect_programs import SERVER_SETTINGS, WORK_POOL
from mirror.history.database.embedded import Cluster

API = f"http://{SERVER}:4200/api"


@dataclass
class Services:
    """The services that run, and what is pushed to the source."""

    root: Path
    env: Mapping[str, str]
    url: str  # the history, over TCP
    prefect: Process
    cluster: Cluster
    source: RegistryServer
    target: RegistryServer
    listing: Path
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    pushed: dict[str, dict[str, datetime]] = field(default_factory=dict)

    def push(self, content: Content) -> None:
        """Push images; the web API lists them after `publish`."""
        name = content.repository
        for tag, digest in Pusher(self.source.host, name).push(content).items():
            if self.digests.setdefault(name, {}).get(tag) != digest:
                self.digests[name][tag] = digest
                self.pushed.setdefault(name, {})[tag] = datetime.now(UTC)

    def publish(self) -> None:
        """Let the web API list what has been pushed."""
        listed = {name: rows(tags, self.pushed[name]) for name, tags in self.digests.items()}
        fresh = self.listing.with_suffix(".new")
        fresh.write_text(json.dumps(listed))
        fresh.rename(self.listing)

    def mirror(self, *arguments: str) -> None:
        """Run a command of ours; BenchError if it fails."""
        usage = measure([str(BIN / "mirror"), *arguments], self.root, self.env)
        if usage.code:
            raise BenchError(f"mirror {' '.join(arguments)}: {usage.errors[-800:]}")

    def worker(self, host: Host, limit: int) -> Process:
        """A worker on a host, which runs at most `limit` flows at once."""
        command = [str(BIN / "prefect"), "worker", "start", "--pool", WORK_POOL, "--type"]
        command += ["process", "--name", host.name, "--limit", str(limit)]
        env = {**self.env, "PREFECT_HOME": str(self.root / host.name)}
        return Process(host.command(*command), self.root / f"{host.name}.log", env)

    def sync_all(self) -> None:
        """Start the run of the entry's deployment that a schedule would start."""
        with httpx.Client(base_url=API, trust_env=False, timeout=60) as client:
            found = client.get(f"/deployments/name/sync-entry/{NAMESPACE}").raise_for_status()
            body = {"parameters": {"entry": NAMESPACE, "full": True}}
            client.post(
                f"/deployments/{found.json()['id']}/create_flow_run", json=body
            ).raise_for_status()

    def ask(self, statement: str, **values: object) -> Any:
        """The first column of the first row of a query on the history."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
        return row[0] if row else None

    def wait(self, done: Callable[[], bool], what: str, seconds: float) -> float:
        """Wait until `done`; the seconds that it took. BenchError after `seconds`."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                raise BenchError(f"{what}: not within {seconds:g} s; logs are in {self.root}")
            time.sleep(0.5)
        return time.monotonic() - began

    def in_sync(self) -> bool:
        """Whether the history says of every pushed tag that the target has it."""
        wanted = sum(len(tags) for tags in self.digests.values())
        held = {(name, tag): digest for name, tag, digest in self._held()}
        return len(held) >= wanted and all(
            held.get((name, tag)) == digest
            for name, tags in self.digests.items()
            for tag, digest in tags.items()
        )

    def _held(self) -> list[tuple[str, str, str]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(
                "SELECT repository.name, tag, target_digest FROM tag_state"
                " JOIN mirror ON mirror.id = mirror_id JOIN repository ON repository.id = source_id"
                " WHERE available_at IS NOT NULL"
            ).fetchall()

    def cpu(self) -> dict[str, float]:
        """Processor seconds so far: Prefect's server, Postgres, both registries."""
        postmaster = int((self.cluster.folder / "postmaster.pid").read_text().split()[0])
        pids = {
            "prefect": self.prefect.child.pid,
            "postgres": postmaster,
            "source": self.source.child.pid,
            "target": self.target.child.pid,
        }
        return {name: cpu_seconds(psutil.Process(pid)) for name, pid in pids.items()}


def cpu_seconds(process: psutil.Process) -> float:
    """User and system seconds of a process, its children and those of them that ended."""
    try:
        times = process.cpu_times()
        spent = times.user + times.system + times.children_user + times.children_system
        return spent + sum(cpu_seconds(child) for child in process.children())
    except psutil.NoSuchProcess:
        return 0.0  # it has ended: its parent counts it from now on


@contextmanager
def services(root: Path, watch_every: str, far: float = 0.0) -> Iterator[Services]:
    """Start everything but workers, with one entry for NAMESPACE; stopped on exit.

    far: milliseconds of a round trip to the registries, for workers and the watch.
    """
    with ExitStack() as stack:
        cluster = Cluster(root / "postgres")
        stack.callback(cluster.stop)
        for name in ("mirror", "prefect"):
            cluster.ensure_database(name)
        _listen(cluster)
        url = f"postgresql://postgres@{SERVER}:5432/mirror"
        source = RegistryServer(root / "source", SERVER)
        stack.callback(source.close)
        target = RegistryServer(root / "target", SERVER)
        stack.callback(target.close)
        listing = root / "listing.json"
        listing.write_text("{}")
        hub = stack.enter_context(HubProcess(listing, root / "hub.log", SERVER))
        hosts = [source.host, target.host]
        if far:
            links = [
                LinkProcess(one.port, root / f"link-{one.port}.log", Shape.of(far), SERVER)
                for one in (source, target)
            ]
            for link in links:
                stack.callback(link.close)
            hosts = [link.host for link in links]
        env = {
            **os.environ,
            "MIRROR_DATABASE_URL": url,
            "MIRROR_CONFIG": str(_configuration(root, hosts, hub, watch_every)),
            "PREFECT_API_URL": API,
            "PREFECT_HOME": str(root / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://postgres@{SERVER}/prefect",
            **SERVER_SETTINGS,
        }
        command = [str(BIN / "prefect"), "server", "start", "--host", SERVER, "--port", "4200"]
        prefect = stack.enter_context(Process(command, root / "prefect.log", env))
        await_url(f"{API}/health", prefect.child, 180)
        running = Services(root, env, url, prefect, cluster, source, target, listing)
        running.mirror("migrate")
        running.mirror("deploy")
        watchdog = [str(BIN / "mirror"), "watchdog"]
        stack.enter_context(Process(watchdog, root / "watchdog.log", env))
        yield running


def _listen(cluster: Cluster) -> None:
    """Let the cluster answer the hosts too."""
    socket = cluster.start()
    with psycopg.connect(f"host={socket} user=postgres dbname=postgres", autocommit=True) as one:
        one.execute(f"ALTER SYSTEM SET listen_addresses = '{SERVER}'")
    cluster.stop()
    with (cluster.folder / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    cluster.start()


def _configuration(root: Path, hosts: Sequence[str], hub: HubProcess, watch_every: str) -> Path:
    path, (source, target) = root / "mirrors.yaml", hosts
    entry = {
        "source": f"{source}/{NAMESPACE}/*",
        "target": f"{target}/copy/*",
        "every": "12h",
        "watch_every": watch_every,
    }
    registries = {
        source: {"insecure": True, "hub_api": f"http://{hub.host}"},
        target: {"insecure": True},
    }
    path.write_text(yaml.safe_dump({"registries": registries, "mirrors": {NAMESPACE: entry}}))
    return path
