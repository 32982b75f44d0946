"""A Prefect server, a history, and mirrors between real registries, for the flows' tests."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from flows.orchestration.api_login import LOGIN_ENV, random_login
from flows.orchestration.states import outcome_of
from flows.orchestration.temporary_server import use_own_server
from flows.sync import sync
from mirror.history.database.engine import create_engine
from mirror.outcome import RunOutcome, Trigger
from tests.flows.command import Command
from tests.support.fixtures import StartDockerRegistry


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[str]:
    """One Prefect server for the session, on its own database, as commands start it; its login."""
    login = random_login()
    use_own_server()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        both = {PREFECT_API_AUTH_STRING: login, PREFECT_SERVER_API_AUTH_STRING: login}
        with temporary_settings(both), prefect_test_harness(server_startup_timeout=180):
            yield login
    _collect_sockets()


@pytest.fixture(autouse=True)
def prefect_login(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way into that server, for commands."""
    monkeypatch.setenv(LOGIN_ENV, prefect_server)


@pytest.fixture(scope="module", autouse=True)
def collected_sockets() -> Iterator[None]:
    """What Prefect leaves to the garbage collector is collected here, and not in other tests."""
    yield
    _collect_sockets()


def _collect_sockets() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        gc.collect()


@dataclass
class Mirrors:
    """mirrors.yaml of a test, and runs of its mirrors."""

    path: Path
    registries: dict[str, dict[str, Any]] = field(default_factory=dict)
    mirrors: dict[str, dict[str, Any]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, source: str, target: str, **options: Any) -> None:
        """Add a mirror between two `host:port/path` that speak plain http."""
        for side in (source, target):
            self.registries.setdefault(side.partition("/")[0], {"insecure": True})
        self.mirrors[name] = {"source": source, "target": target, **options}
        self.write()

    def write(self) -> None:
        """Write mirrors.yaml."""
        document = {"registries": self.registries, "mirrors": self.mirrors, **self.more}
        self.path.write_text(yaml.safe_dump(document))

    async def sync(
        self,
        name: str = "m",
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_loss: bool = False,
        trigger: Trigger = Trigger.MANUAL,
    ) -> RunOutcome:
        """Run the flow once, without the schedule's retries."""
        state: Any = await sync.with_options(retries=0)(
            mirror=name,
            full=full,
            dry_run=dry_run,
            trigger=trigger.value,
            accept_loss=accept_loss,
            return_state=True,
        )
        outcome = await outcome_of(state)
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, RunOutcome)
        return outcome


@pytest.fixture
def mirrors(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Mirrors:
    """mirrors.yaml in the test's folder, and an empty history."""
    path = tmp_path / "mirrors.yaml"
    monkeypatch.setenv("MIRROR_CONFIG", str(path))
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker-config"))
    return Mirrors(path)


@dataclass(frozen=True)
class Pair:
    """A source and a target on real registries, mirrored as `m`."""

    source_url: str
    target_url: str
    source: str
    target: str


@pytest.fixture
def pair(docker_registry: StartDockerRegistry, mirrors: Mirrors) -> Pair:
    """Two docker-registry processes and the mirror `m` between team/app and copy/app."""
    source, target = docker_registry(), docker_registry()
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    return Pair(source.url, target.url, "team/app", "copy/app")


@dataclass
class Rows:
    """Queries on the history."""

    engine: sa.Engine

    def all(self, query: str, **values: object) -> list[Mapping[str, Any]]:
        """The rows of a query, by column."""
        with self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(sa.text(query), values)]

    def one(self, query: str, **values: object) -> Any:
        """The only value of a query."""
        (row,) = self.all(query, **values)
        (value,) = row.values()
        return value


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    """The test's history, to query."""
    engine = create_engine(url)
    yield Rows(engine)
    engine.dispose()


@pytest.fixture
def command(tmp_path: Path, mirrors: Mirrors) -> Command:
    """`mirror` as a process, with the test's mirrors.yaml and history."""
    return Command(tmp_path)
