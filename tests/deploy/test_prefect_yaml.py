"""prefect.yaml, mirrors.yaml and what `mirror up` schedules say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

import flows
from flows.local.prefect_programs import WORK_POOL
from flows.orchestration import planned, prefect_file
from mirror.config import load_settings

ROOT = Path(flows.__file__).parents[1]
FILE = yaml.safe_load((ROOT / "prefect.yaml").read_text())
SETTINGS = load_settings(ROOT / "mirrors.yaml")

each_deployment = pytest.mark.parametrize(
    "deployment", FILE["deployments"], ids=lambda d: f"{d['entrypoint']}-{d['name']}"
)


def test_the_file_is_what_mirror_deploy_writes() -> None:
    written = prefect_file(planned(SETTINGS), WORK_POOL)
    assert (ROOT / "prefect.yaml").read_text() == written, "run: mirror deploy --write prefect.yaml"


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
    assert hasattr(flow.fn, "__wrapped__"), "without @living the watchdog takes its runs for dead"
    assert vars(flow.fn)["redacts"], "what it raises becomes a state of Prefect"
    flow.validate_parameters(deployment.get("parameters", {}))


@each_deployment
def test_no_dead_run_can_hold_a_slot(deployment: dict[str, Any]) -> None:
    assert "concurrency_limit" not in deployment
    assert deployment["work_pool"]["name"] == WORK_POOL


def test_start_times_are_fixed_and_spread() -> None:
    times = {
        (schedule["interval"], schedule["anchor_date"])
        for deployment in FILE["deployments"]
        for schedule in deployment["schedules"]
    }
    assert len(times) == len(FILE["deployments"])
    for every, anchor in times:
        offset = datetime.fromisoformat(anchor) - datetime(2026, 1, 1, tzinfo=UTC)
        assert timedelta(0) <= offset < timedelta(seconds=every)


def test_every_flow_module_of_the_project_is_scheduled() -> None:
    here = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    scheduled = {deployment["entrypoint"].split(".")[1] for deployment in FILE["deployments"]}
    unscheduled = {
        "sync_entry",  # mirrors.yaml has no entry for many repositories
        "audit_entry",
        "sync_mirror",  # what flows share
        "sync_group",
    }
    assert scheduled == here - unscheduled
