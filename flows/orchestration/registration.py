"""The deployments at a Prefect server, made to be those of mirrors.yaml."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.runner.storage import LocalStorage
from prefect.schedules import Interval
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from flows.orchestration.api_login import LOGIN_ENV
from flows.orchestration.deployments import Scheduled

DISTRIBUTION = "hagicode-mirror"
_OURS = "flows."  # how entrypoints of this project begin
_PAGE = 200  # the maximum of Prefect's API


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deploy did, or would do, by the full names of deployments."""

    added: tuple[str, ...]
    changed: dict[str, tuple[str, ...]]  # what differs
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


async def deploy(
    api_url: str,
    deployments: Sequence[Scheduled],
    work_pool: str,
    directory: Path,
    *,
    work_queue: str | None = None,
    dry_run: bool = False,
) -> Deployed:
    """Make this project's deployments in a work pool exactly these, at the server of `api_url`.

    The pool is created, as one of processes, if it does not exist. Deployments of our flows that
    are no longer wanted are deleted, since their schedules would go on firing; those of other
    projects stay. Runs start in `directory`. Changes nothing with `dry_run`.
    """
    async with prefect_client(api_url) as client:
        if not dry_run:
            await _ensure_pool(client, work_pool)
        flows = {flow.id: flow.name for flow in await _flows(client)}
        known = {
            f"{flows.get(each.flow_id)}/{each.name}": each
            for each in await _deployments(client)
            if each.work_pool_name == work_pool and (each.entrypoint or "").startswith(_OURS)
        }
        added, changed, unchanged = [], {}, []
        for scheduled in deployments:
            wanted = await _wanted(scheduled, work_pool, work_queue, directory)
            current = known.pop(scheduled.full_name, None)
            if current is None:
                added.append(scheduled.full_name)
            elif differing := _differing(current, wanted):
                changed[scheduled.full_name] = differing
            else:
                unchanged.append(scheduled.full_name)
                continue
            if not dry_run:
                await wanted.aapply(work_pool_name=work_pool)
        if not dry_run:
            for gone in known.values():
                await client.delete_deployment(gone.id)
    return Deployed(tuple(added), changed, tuple(known), tuple(unchanged))


async def run_now(api_url: str, deployment: str) -> None:
    """Run a deployment (flow/name) once, without waiting for its schedule or its end."""
    async with prefect_client(api_url) as client:
        known = await client.read_deployment_by_name(deployment)
        await client.create_flow_run_from_deployment(known.id)


async def _wanted(
    scheduled: Scheduled, work_pool: str, work_queue: str | None, directory: Path
) -> RunnerDeployment:
    module, _, name = scheduled.entrypoint.rpartition(".")
    flow: Flow[..., object] = getattr(import_module(module), name)
    deployment = await flow.ato_deployment(
        name=scheduled.name,
        # The slug is that of prefect.yaml: Prefect takes no schedule without one in the place of
        # one that has it.
        schedule=Interval(
            scheduled.every, anchor_date=scheduled.anchor, timezone="UTC", slug="every"
        ),
        description=scheduled.description,
        parameters=dict(scheduled.parameters),
        tags=list(scheduled.tags),
        version=version(DISTRIBUTION),
        work_pool_name=work_pool,
        work_queue_name=work_queue,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    properties = deployment._parameter_openapi_schema.properties
    for parameter, choices in scheduled.choices.items():
        properties[parameter] = _limited(properties[parameter], choices)
    # Without a storage, the worker would copy this whole folder for every run.
    deployment.storage = LocalStorage(path=str(directory))
    return deployment


def _limited(schema: dict[str, Any], choices: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a parameter, its strings limited to `choices`."""
    limited = dict(schema)
    if schema.get("type") == "string":
        limited["enum"] = list(choices)
    if "items" in schema:
        limited["items"] = _limited(schema["items"], choices)
    if "anyOf" in schema:
        limited["anyOf"] = [_limited(each, choices) for each in schema["anyOf"]]
    return limited


def _differing(current: DeploymentResponse, wanted: RunnerDeployment) -> tuple[str, ...]:
    """What of a deployment is not as it should be, in the words of Prefect's UI."""
    schema = wanted._parameter_openapi_schema.model_dump(exclude_unset=True)
    step = wanted.storage.to_pull_step() if wanted.storage else None
    pairs: dict[str, tuple[Any, Any]] = {
        "entrypoint": (current.entrypoint, wanted.entrypoint),
        "schedule": (_times(current.schedules), _times(wanted.schedules or ())),
        "parameters": (current.parameters, wanted.parameters),
        "description": (current.description, wanted.description),
        "tags": (sorted(current.tags), sorted(wanted.tags)),
        "version": (current.version, wanted.version),
        "work queue": (current.work_queue_name, wanted.work_queue_name or "default"),
        "concurrency limit": (current.global_concurrency_limit, None),
        "directory": (current.pull_steps, [step]),
        "form": (current.parameter_openapi_schema, schema),
    }
    return tuple(name for name, (is_now, should) in pairs.items() if is_now != should)


def _times(schedules: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [
        (each.schedule.interval, each.schedule.anchor_date, each.schedule.timezone)
        if isinstance(each.schedule, IntervalSchedule)
        else (each.schedule,)
        for each in schedules
    ]


async def _ensure_pool(client: PrefectClient, name: str) -> WorkPool:
    try:
        return await client.read_work_pool(name)
    except ObjectNotFound:
        return await client.create_work_pool(WorkPoolCreate(name=name, type="process"))


@asynccontextmanager
async def prefect_client(api_url: str) -> AsyncIterator[PrefectClient]:
    """A client of the server of `api_url`, logged in as the environment says."""
    # Prefect read its settings when it was imported, before this server was started.
    login = os.environ.get(LOGIN_ENV)
    with temporary_settings({PREFECT_API_URL: api_url, PREFECT_API_AUTH_STRING: login}):
        async with get_client() as client:
            yield client


async def _flows(client: PrefectClient) -> list[Any]:
    found: list[Any] = []
    while page := await client.read_flows(limit=_PAGE, offset=len(found)):
        found += page
    return found


async def _deployments(client: PrefectClient) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(limit=_PAGE, offset=len(found)):
        found += page
    return found
