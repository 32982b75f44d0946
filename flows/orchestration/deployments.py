"""The deployments: a sync and an audit per mirror of mirrors.yaml, and the flows over all of them.

registration.py registers them, prefect_yaml.py writes them as prefect.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from mirror.config import EntrySettings, MirrorPolicy, MirrorSettings, Settings

ALL = "all-mirrors"
AUDIT_EVERY = timedelta(days=1)
AUDIT_TURN = timedelta(hours=1)
"""How often a run audits those repositories of an entry whose turn it is."""
WATCH = f"watch/{ALL}"
"""The scheduled watch, for those who run no `mirror watch`."""
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A deployment: a flow by its module path, run every `every` with `parameters`.

    It has no concurrency limit at Prefect: runs that would collide end by themselves, at the lock
    of their target or of their work (living_flow.py).
    """

    entrypoint: str  # package.module.flow
    name: str
    every: timedelta
    description: str
    parameters: Mapping[str, str | bool] = field(default_factory=dict)
    about: tuple[str, ...] = ()  # further tags: the mirror and its registries
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a person may choose for a parameter, in the form of Prefect's UI."""

    @property
    def flow(self) -> str:
        """The flow's name, as Prefect knows it."""
        return self.entrypoint.rpartition(".")[2].replace("_", "-")

    @property
    def full_name(self) -> str:
        """flow/name, as Prefect addresses a deployment."""
        return f"{self.flow}/{self.name}"

    @property
    def tags(self) -> tuple[str, ...]:
        """What Prefect's UI can filter by: the flow, the mirror, its registries."""
        return (self.flow, *self.about)

    @property
    def anchor(self) -> datetime:
        """When its schedule fires, give or take a multiple of `every`.

        Fixed, so that deploying again does not put a daily run off by a day; spread by the name, so
        that the deployments do not start in one second.
        """
        spread = int.from_bytes(sha256(self.full_name.encode()).digest()[:8])
        return _EPOCH + timedelta(seconds=spread % int(self.every.total_seconds()))


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
        *(_sync_entry(entry) for entry in settings.entries.values()),
        _watch(settings),
        *(_audit(mirror) for mirror in mirrors),
        *(_audit_entry(entry) for entry in settings.entries.values()),
        replace(PROBE, choices={"mirror": tuple(settings.mirrors)}),
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
        about=_about(mirror),
        choices={"mirror": (mirror.name,)},
    )


def _sync_entry(entry: EntrySettings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.sync_entry.sync_entry",
        name=entry.name,
        every=entry.every,
        description=f"Lists {entry.source}, and compares each repository with {entry.target}.",
        parameters={"entry": entry.name, "full": True},
        about=_about(entry),
        choices={"entry": (entry.name,)},
    )


def _watch(settings: Settings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.watch.watch",
        name=ALL,
        every=min(mirror.watch_every for mirror in settings.policies),
        description="Checks every source cheaply, and syncs the mirrors whose source changed.",
    )


def _audit(mirror: MirrorSettings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.audit.audit",
        name=mirror.name,
        every=AUDIT_EVERY,
        description=f"Compares {mirror.target} with the history and the source.",
        parameters={"mirror": mirror.name},
        about=_about(mirror),
        choices={"mirror": (mirror.name,)},
    )


def _audit_entry(entry: EntrySettings) -> Scheduled:
    return Scheduled(
        entrypoint="flows.audit_entry.audit_entry",
        name=entry.name,
        every=AUDIT_TURN,
        description=f"Audits the repositories of {entry.target} in turn, each once a day.",
        parameters={"entry": entry.name},
        about=_about(entry),
        choices={"entry": (entry.name,)},
    )


def _about(mirror: MirrorPolicy) -> tuple[str, ...]:
    registries = (side.partition("/")[0] for side in (mirror.source, mirror.target))
    return (f"mirror:{mirror.name}", *dict.fromkeys(f"registry:{host}" for host in registries))
