"""The deployments: a sync and an audit per mirror of mirrors.yaml, and the flows over all of them.

prefect.yaml defines the same for `prefect deploy --all`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flows import Flow
from prefect.runner.storage import LocalStorage
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from mirror.config import MirrorSettings, Settings

ALL = "all-mirrors"
PAGE = 200  # the maximum of Prefect's API


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A deployment: a flow by its module path, run every `every` with `parameters`.

    Its runs never overlap: a run that would collide is cancelled, not queued.
    """

    entrypoint: str  # package.module.flow
    name: str
    every: timedelta
    description: str
    parameters: Mapping[str, str | bool] = field(default_factory=dict)

    @property
    def flow(self) -> str:
        """The flow's name, as Prefect knows it."""
        return self.entrypoint.rpartition(".")[2]

    @property
    def full_name(self) -> str:
        """flow/name, as Prefect addresses a deployment."""
        return f"{self.flow}/{self.name}"


PROBE = Scheduled(
    entrypoint="flows.probe.probe",
    name=ALL,
    every=timedelta(minutes=15),
    description="Pulls from every source and mirror as a user would, and times it.",
)


REPORT = Scheduled(
    entrypoint="flows.report.report",
    name=ALL,
    every=timedelta(minutes=15),
    description="Compares figures with their goals, and sends alerts.",
)


PUBLISH = Scheduled(
    entrypoint="flows.publish.publish",
    name=ALL,
    every=timedelta(minutes=10),
    description="Builds the public site from the history.",
)


MAINTAIN = Scheduled(
    entrypoint="flows.maintain.maintain",
    name="record",
    every=timedelta(days=1),
    description="Creates new partitions, rolls up closed days, drops old months.",
)


def planned(settings: Settings) -> tuple[Scheduled, ...]:
    """The deployments of these settings, in the order of mirrors.yaml."""
    mirrors = settings.mirrors.values()
    return (
        *(_sync(mirror) for mirror in mirrors),
        _watch(settings),
        *(_audit(mirror) for mirror in mirrors),
        PROBE,
        REPORT,
        PUBLISH,
        MAINTAIN,
    )


def _sync(mirror: MirrorSettings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.sync.sync",
        name=mirror.name,
        every=mirror.every,
        description=f"Compares {mirror.source} with {mirror.target} in full, and copies changes.",
        parameters={"mirror": mirror.name, "full": True},
    )


def _watch(settings: Settings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.watch.watch",
        name=ALL,
        every=min(mirror.watch_every for mirror in settings.mirrors.values()),
        description="Checks every source cheaply, and syncs the mirrors whose source changed.",
    )


def _audit(mirror: MirrorSettings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.audit.audit",
        name=mirror.name,
        every=timedelta(days=1),
        description=f"Compares {mirror.target} with the history and the source.",
        parameters={"mirror": mirror.name},
    )


async def register(
    api_url: str, deployments: tuple[Scheduled, ...], work_pool: str, directory: Path
) -> tuple[str, ...]:
    """Make the deployments of a work pool exactly these, at the server of `api_url`.

    Deletes other deployments of the pool, whose schedules would go on firing, and returns their
    names. Runs start in `directory`.
    """
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    async with _client(api_url) as client:
        pool = WorkPoolCreate(name=work_pool, type="process")
        await client.create_work_pool(pool, overwrite=True)
        kept = set()
        for scheduled in deployments:
            module, _, name = scheduled.entrypoint.rpartition(".")
            flow: Flow[..., object] = getattr(import_module(module), name)
            deployment = await flow.ato_deployment(
                name=scheduled.name,
                interval=scheduled.every,
                description=scheduled.description,
                parameters=dict(scheduled.parameters),
                tags=[scheduled.flow],
                concurrency_limit=one_at_a_time,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            # Without a storage, the worker would copy this whole folder for every run.
            deployment.storage = LocalStorage(path=str(directory))
            kept.add(await deployment.aapply(work_pool_name=work_pool))
        removed = [
            known
            for known in await _deployments(client)
            if known.work_pool_name == work_pool and known.id not in kept
        ]
        for known in removed:
            await client.delete_deployment(known.id)
        return tuple(known.name for known in removed)


async def run_now(api_url: str, deployment: str) -> None:
    """Run a deployment (flow/name) once, without waiting for its schedule or its end."""
    async with _client(api_url) as client:
        known = await client.read_deployment_by_name(deployment)
        await client.create_flow_run_from_deployment(known.id)


@asynccontextmanager
async def _client(api_url: str) -> AsyncIterator[PrefectClient]:
    # Prefect read its settings when it was imported, before this server was started.
    with temporary_settings({PREFECT_API_URL: api_url}):
        async with get_client() as client:
            yield client


async def _deployments(client: PrefectClient) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(limit=PAGE, offset=len(found)):
        found += page
    return found
