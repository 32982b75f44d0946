"""prefect.yaml, mirrors.yaml and what `mirror up` schedules say the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

import flows
from flows.local.prefect_programs import WORK_POOL
from flows.orchestration.deployments import Scheduled, planned
from mirror.config import load_settings

ROOT = Path(flows.__file__).parents[1]
FILE = yaml.safe_load((ROOT / "prefect.yaml").read_text())
SETTINGS = load_settings(ROOT / "mirrors.yaml")

each_deployment = pytest.mark.parametrize(
    "deployment", FILE["deployments"], ids=lambda d: f"{d['entrypoint']}-{d['name']}"
)


@dataclass(frozen=True)
class Essence:
    """What a deployment does and when, wherever it is written."""

    entrypoint: str
    name: str
    every: timedelta
    parameters: tuple[tuple[str, Any], ...]
    description: str
    tag: str

    @classmethod
    def of_file(cls, deployment: dict[str, Any]) -> Essence:
        (schedule,) = deployment["schedules"]
        return cls(
            deployment["entrypoint"],
            deployment["name"],
            timedelta(seconds=schedule["interval"]),
            tuple(sorted(deployment.get("parameters", {}).items())),
            deployment["description"],
            *deployment["tags"],
        )

    @classmethod
    def of_plan(cls, scheduled: Scheduled) -> Essence:
        return cls(
            scheduled.entrypoint,
            scheduled.name,
            scheduled.every,
            tuple(sorted(scheduled.parameters.items())),
            scheduled.description,
            scheduled.flow,
        )


def test_the_file_schedules_what_mirrors_yaml_asks_for() -> None:
    in_file = {Essence.of_file(deployment) for deployment in FILE["deployments"]}
    assert in_file == {Essence.of_plan(scheduled) for scheduled in planned(SETTINGS)}


def test_aliyun_is_compared_in_full_every_30_minutes_and_azure_hourly() -> None:
    every = {
        deployment["name"]: (
            deployment["parameters"]["full"],
            deployment["schedules"][0]["interval"],
        )
        for deployment in FILE["deployments"]
        if deployment["entrypoint"] == "flows.sync.sync"
    }
    assert every["hagicode-aliyun"] == (True, 30 * 60)
    assert every["hagicode-azure"] == (True, 60 * 60)


@each_deployment
def test_every_deployment_is_a_flow_that_takes_its_parameters(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), name)
    assert isinstance(flow, Flow)
    flow.validate_parameters(deployment.get("parameters", {}))


@each_deployment
def test_runs_of_one_deployment_never_overlap(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert deployment["work_pool"]["name"] == WORK_POOL
    # Two schedules of one deployment would cancel one another where they coincide.
    assert len(deployment["schedules"]) == 1


def test_every_flow_module_of_the_project_is_scheduled() -> None:
    here = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    scheduled = {deployment["entrypoint"].split(".")[1] for deployment in FILE["deployments"]}
    assert scheduled == here
