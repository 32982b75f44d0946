"""Prefect's own alerts as code, for those who want messages from Prefect instead of the history.

docs.prefect.io, "Automations". The history's alerts (mirror.alerts) know more: these see the states
of flow runs and of the work pool alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from flows.orchestration.deployments import Scheduled
from flows.orchestration.registration import prefect_client
from mirror.errors import ConfigError

_OURS: Final = "hagicode-mirror: "
"""How the names of these automations begin."""
_SYNCS: Final = ("sync", "sync-entry")
_RUN: Final = "prefect.flow-run."


@dataclass(frozen=True, slots=True)
class Automated:
    """What happened to the automations, by name."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


async def deploy_automations(
    api_url: str,
    deployments: Sequence[Scheduled],
    work_pool: str,
    block: str,
    *,
    dry_run: bool = False,
) -> Automated:
    """Make the automations at the server of `api_url` those of these deployments.

    block: TYPE/NAME of the notification block that sends the messages, such as
    `slack-webhook/operators`. Those that a person disabled stay disabled. Raises ConfigError for
    a block that does not exist.
    """
    slug, _, name = block.partition("/")
    async with prefect_client(api_url) as client:
        try:
            found = await client.read_block_document_by_name(name, slug, include_secrets=False)
        except ObjectNotFound as error:
            raise ConfigError(
                f"unknown Prefect notification block {block!r}: create it in Prefect's UI (Blocks)"
                " and write its type and name, such as slack-webhook/operators"
            ) from error
        known = {
            each.name: each
            for each in await client.read_automations()
            if each.name.startswith(_OURS)
        }
        added, changed, unchanged = [], [], []
        for wanted in automations(deployments, work_pool, found.id):
            current = known.pop(wanted.name, None)
            if current is None:
                added.append(wanted.name)
                if not dry_run:
                    await client.create_automation(wanted)
                continue
            wanted.enabled = current.enabled
            if wanted.model_dump() == current.model_dump(include=set(wanted.model_dump())):
                unchanged.append(wanted.name)
                continue
            changed.append(wanted.name)
            if not dry_run:
                await client.update_automation(current.id, wanted)
        for gone in known.values():
            if not dry_run:
                await client.delete_automation(gone.id)
    return Automated(tuple(added), tuple(changed), tuple(known), tuple(unchanged))


def automations(
    deployments: Sequence[Scheduled], work_pool: str, block: UUID
) -> tuple[AutomationCore, ...]:
    """A run failed; a mirror has not been synced for twice the longest interval; no worker."""
    flows = sorted({each.flow for each in deployments})
    overdue = 2 * max((each.every for each in deployments if each.flow in _SYNCS), default=_HOUR)
    failed = EventTrigger(
        expect={f"{_RUN}Failed", f"{_RUN}Crashed"},
        match=_resource("prefect.flow-run.*"),
        match_related=_tags(flows),
        posture=Posture.Reactive,
        threshold=1,
    )
    silent = EventTrigger(
        after={f"{_RUN}Pending", f"{_RUN}Late"},
        expect={f"{_RUN}Completed", f"{_RUN}Partial"},
        match=_resource("prefect.flow-run.*"),
        match_related=_tags(_SYNCS),
        for_each={"related:deployment:prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=overdue,
    )
    away = EventTrigger(
        expect={"prefect.work-pool.not-ready"},
        match={"prefect.resource.name": work_pool},
        posture=Posture.Reactive,
        threshold=1,
    )
    run = "{{ flow_run.name }}: {{ flow_run.state.name }}\n{{ flow_run.state.message }}\n"
    return (
        _automation("a run failed", failed, block, run + "{{ (flow_run|ui_url) or flow_run.id }}"),
        _automation(
            "a mirror was not synced",
            silent,
            block,
            f"No sync of it has ended for {overdue}: `mirror status` says why.",
        ),
        _automation(
            "no worker",
            away,
            block,
            f"No worker polls the work pool {work_pool}: scheduled runs wait.",
        ),
    )


_HOUR: Final = timedelta(hours=1)


def _resource(pattern: str) -> dict[str, str]:
    return {"prefect.resource.id": pattern}


def _tags(names: Sequence[str]) -> dict[str, str | list[str]]:
    return {
        "prefect.resource.role": "tag",
        "prefect.resource.id": [f"prefect.tag.{name}" for name in names],
    }


def _automation(what: str, trigger: EventTrigger, block: UUID, body: str) -> AutomationCore:
    name = f"{_OURS}{what}"
    return AutomationCore(
        name=name,
        description="Made by `mirror deploy --automations`; a change here is undone by the next.",
        trigger=trigger,
        actions=[SendNotification(block_document_id=block, subject=name, body=body)],
    )
