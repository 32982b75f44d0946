"""What is scheduled: one sync for each mirror of mirrors.yaml, one watch over all of them.

prefect.yaml says the same for `prefect deploy --all`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flows import Flow
from prefect.types.entrypoint import EntrypointType

from flows.settings import Settings, format_duration

WATCH_NAME = "all-mirrors"
PAGE = 200  # the most that Prefect's API gives at once


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A deployment: a flow by its module path, run every `every` with `parameters`.

    Never two of its runs at once: one that would collide is cancelled, not queued.
    """

    entrypoint: str  # package.module.flow
    name: str
    every: timedelta
    description: str
    parameters: Mapping[str, str | bool] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def flow(self) -> str:
        """The flow's name, as Prefect knows it."""
        return self.entrypoint.rpartition(".")[2]


def planned(settings: Settings) -> tuple[Scheduled, ...]:
    """Every deployment that these settings ask for, the syncs in the order of mirrors.yaml."""
    syncs = tuple(
        Scheduled(
            entrypoint="flows.sync.sync",
            name=mirror.name,
            every=mirror.every,
            description=(
                f"Full comparison of {mirror.source} with {mirror.target}, "
                f"every {format_duration(mirror.every)}."
            ),
            parameters={"mirror": mirror.name, "full": True},
            tags=("sync",),
        )
        for mirror in settings.mirrors.values()
    )
    look = min(mirror.watch_every for mirror in settings.mirrors.values())
    watch = Scheduled(
        entrypoint="flows.watch.watch",
        name=WATCH_NAME,
        every=look,
        description=(
            f"One cheap look at every source, every {format_duration(look)}; "
            "a mirror whose source moved is synced at once."
        ),
        tags=("watch",),
    )
    return (*syncs, watch)


async def register(
    deployments: tuple[Scheduled, ...], work_pool: str, directory: Path
) -> tuple[str, ...]:
    """Make the deployments of a work pool exactly these, at the server of PREFECT_API_URL.

    Those that an earlier registration made and that are no longer asked for are deleted, since a
    schedule left behind would go on firing. Runs start in `directory`. Returns the names of the
    deleted.
    """
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    async with get_client() as client:
        pool = WorkPoolCreate(name=work_pool, type="process")
        await client.create_work_pool(pool, overwrite=True)
        wanted = set()
        for scheduled in deployments:
            module, _, name = scheduled.entrypoint.rpartition(".")
            flow: Flow[..., object] = getattr(import_module(module), name)
            deployment = await flow.ato_deployment(
                name=scheduled.name,
                interval=scheduled.every,
                description=scheduled.description,
                parameters=dict(scheduled.parameters),
                tags=list(scheduled.tags),
                concurrency_limit=one_at_a_time,
                job_variables={"working_dir": str(directory)},
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            wanted.add(await deployment.aapply(work_pool_name=work_pool))
        removed = [
            known
            for known in await _deployments(client)
            if known.work_pool_name == work_pool and known.id not in wanted
        ]
        for known in removed:
            await client.delete_deployment(known.id)
        return tuple(known.name for known in removed)


async def run_now(deployment: str) -> None:
    """Run a deployment (flow/name) once, without waiting for its schedule or its end."""
    async with get_client() as client:
        known = await client.read_deployment_by_name(deployment)
        await client.create_flow_run_from_deployment(known.id)


async def _deployments(client: PrefectClient) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(limit=PAGE, offset=len(found)):
        found += page
    return found
