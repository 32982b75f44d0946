"""prefect.yaml: the deployments as `prefect deploy --all` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import yaml

from flows.orchestration.deployments import Scheduled
from flows.orchestration.registration import DISTRIBUTION

_HEAD = """\
# Deployments for `prefect deploy --all`, written by `mirror deploy --write prefect.yaml` from
# mirrors.yaml: write it again instead of editing it. `mirror deploy` registers the same ones, and
# removes those that are gone.
#
# Entrypoints are modules of the installed package. Runs start in the folder of the deploy command
# and read its mirrors.yaml unless MIRROR_CONFIG names another. Schedules have fixed times, spread
# by the names of the deployments.
"""


def prefect_file(deployments: Sequence[Scheduled], work_pool: str) -> str:
    """The text of prefect.yaml."""
    document = {
        "name": DISTRIBUTION,
        "prefect-version": version("prefect"),
        "deployments": [_entry(scheduled, work_pool) for scheduled in deployments],
    }
    return _HEAD + yaml.safe_dump(
        document, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )


def _entry(scheduled: Scheduled, work_pool: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": scheduled.name,
        "version": version(DISTRIBUTION),
        "description": scheduled.description,
        "entrypoint": scheduled.entrypoint,
        "parameters": dict(scheduled.parameters),
        "schedules": [
            {
                "slug": "every",
                "interval": int(scheduled.every.total_seconds()),
                "anchor_date": scheduled.anchor.isoformat(),
                "timezone": "UTC",
            }
        ],
        "work_pool": {"name": work_pool},
        "tags": list(scheduled.tags),
    }
    return entry
