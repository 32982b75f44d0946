"""`mirror sync`, driven as an operator would: a configuration, an environment, the command."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.measure import Usage, measure
from bench.process import BenchError, Process, await_url, free_port
from flows.local.prefect_programs import SERVER_SETTINGS
from mirror.history.database.embedded import Cluster

ROOT = Path(__file__).parent.parent
BIN = ROOT / ".venv/bin"


class PrefectServer(Process):
    """A separate Prefect server on a separate PostgreSQL, set up as by `mirror up`.

    On SQLite it returns 503 under load: twenty concurrent flow runs (workload D) were too many.
    """

    def __init__(self, scratch: Path) -> None:
        port = free_port()
        self._database = Cluster(scratch / "prefect-database" / "postgres")
        self._database.ensure_database("prefect")
        self.env = {
            "PREFECT_HOME": str(scratch / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        }
        command = [str(BIN / "prefect"), "server", "start", "--port", str(port)]
        database = f"postgresql+asyncpg://postgres@/prefect?host={self._database.start()}"
        settings = {
            **self.env,
            **SERVER_SETTINGS,
            "PREFECT_API_DATABASE_CONNECTION_URL": database,
        }
        super().__init__(command, scratch / "prefect.log", {**os.environ, **settings})
        try:
            await_url(f"http://127.0.0.1:{port}/api/health", self.child, 300)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the server, then its database."""
        super().close()
        self._database.stop()


@dataclass(frozen=True, slots=True)
class Job:
    """One mirror: repositories by name, the same at the source and at the target's `copy/`."""

    name: str
    source: str  # host:port/repository, as the client reaches it
    target: str


@dataclass(frozen=True, slots=True)
class Sync:
    """What `mirror sync --json` printed, and what the process used."""

    usage: Usage
    outcomes: tuple[Mapping[str, Any], ...]

    @property
    def seconds(self) -> float:
        """The flow's own work; that of the slowest mirror, where several ran at once."""
        return max(float(each["seconds"]["total"]) for each in self.outcomes)

    def total(self, group: str, key: str) -> float:
        """A figure of the outcomes, summed over mirrors."""
        return sum(float(each[group][key]) for each in self.outcomes)


class Ours:
    """A new history (embedded PostgreSQL) and a configuration: the state of one round."""

    def __init__(self, scratch: Path, prefect: PrefectServer) -> None:
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self._config = scratch / "mirrors.yaml"
        self.data = scratch / "data"
        self.env = {
            **os.environ,
            **prefect.env,
            "MIRROR_CONFIG": str(self._config),
            "MIRROR_DATA_DIR": str(self.data),
        }
        for name in ("MIRROR_DATABASE_URL", "PYTHONDONTWRITEBYTECODE"):
            self.env.pop(name, None)  # as on a machine where nobody has set anything

    def configure(self, jobs: Sequence[Job], hub: str | None = None, **options: object) -> None:
        """Write mirrors.yaml; `hub` is the address of the web API in front of the sources."""
        registries: dict[str, dict[str, object]] = {}
        for job in jobs:
            registries[job.target.split("/")[0]] = {"insecure": True}
            registries[job.source.split("/")[0]] = {"insecure": True}
            if hub:
                registries[job.source.split("/")[0]]["hub_api"] = hub
        mirrors = {
            job.name: {"source": job.source, "target": job.target, **options} for job in jobs
        }
        self.write(registries, mirrors)

    def write(
        self, registries: Mapping[str, Mapping[str, object]], mirrors: Mapping[str, object]
    ) -> None:
        """Write mirrors.yaml as given."""
        document = {
            "registries": {host: dict(entry) for host, entry in registries.items()},
            "mirrors": dict(mirrors),
        }
        self._config.write_text(yaml.safe_dump(document))

    def start(self) -> None:
        """Create the history database, so that no measured run pays for it."""
        self.checked(self.run("migrate"))

    def run(self, *arguments: str, before: Sequence[str] = ()) -> Usage:
        """Any command of ours, measured; `before` is put in front of it (a profiler)."""
        command = [*before, str(BIN / "mirror"), *arguments]
        return measure(command, self._scratch, self.env)

    def sync(self, *names: str, flags: Sequence[str] = (), before: Sequence[str] = ()) -> Sync:
        """`mirror sync NAME... --json`; BenchError unless every mirror succeeded."""
        usage = self.checked(self.run("sync", *names, *flags, "--json", before=before))
        outcomes = json.loads(usage.output)
        bad = [each["mirror"] for each in outcomes if each["status"] != "succeeded"]
        if bad:
            raise BenchError(f"{', '.join(bad)} did not succeed: {usage.errors[-500:]}")
        return Sync(usage, tuple(outcomes))

    def close(self) -> None:
        """Stop the embedded PostgreSQL and delete the history."""
        Cluster(self.data / "postgres").stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def checked(self, usage: Usage) -> Usage:
        """The same; BenchError for a command that failed."""
        if usage.code:
            raise BenchError(f"mirror ended with code {usage.code}: {usage.errors[-500:]}")
        return usage
