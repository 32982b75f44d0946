"""What `mirror doctor` examines: every repository and registry of mirrors.yaml, and the record.

No Prefect here: the command hands in what loads Secret blocks.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from mirror.checks.preflight import Check, Checkup, Level, check_source, check_target
from mirror.config import SecretLoader, Settings, anonymous, endpoint, expires_at
from mirror.errors import ConfigError, DatabaseError
from mirror.history import Record, database_url, prepare
from mirror.registry import (
    QuotaStatus,
    Reference,
    Registry,
    RegistryError,
    RetryPolicy,
    Timeouts,
    known_registry,
)

EXPIRES_SOON = timedelta(days=7)
_TIMEOUTS = Timeouts(connect=5.0, stall=10.0, answer=30.0)
_RETRY = RetryPolicy(attempts=2)

Role = Literal["source", "target", "registry"]
Remembered = Mapping[str, str | int | bool]


@dataclass(frozen=True)
class Place:
    """A repository of some mirrors, or a registry that no mirror uses."""

    role: Role
    registry: str
    repository: str  # empty for a registry alone
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examined:
    """What was found at a place. `credential` is its origin, None for the anonymous user."""

    place: Place
    kind: str  # of registry, as its host tells: aliyun-personal, azure, unknown
    credential: str | None
    expires_at: datetime | None = None
    tags: int | None = None
    quota: QuotaStatus | None = None
    abilities: Remembered = field(default_factory=dict)
    checks: tuple[Check, ...] = ()

    def level(self, what: str) -> Level | None:
        """The worst outcome of the checks of that name; None where none was made."""
        levels = [check.level for check in self.checks if check.what == what]
        return max(levels, key=list(Level).index, default=None)


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was examined."""

    examined: tuple[Examined, ...]
    record: Check

    @property
    def well(self) -> bool:
        """False when something would fail a sync."""
        checks = [self.record, *(check for one in self.examined for check in one.checks)]
        return all(check.level is not Level.FAILURE for check in checks)


async def examine(settings: Settings, secrets: SecretLoader) -> Diagnosis:
    """Reach everything that mirrors.yaml names. Problems are in the value, not raised."""
    record, remembered = await _record(settings)
    places = places_of(settings)
    examined = await asyncio.gather(
        *(_examine(settings, place, secrets, remembered.get(place, {})) for place in places)
    )
    return Diagnosis(tuple(examined), record)


def places_of(settings: Settings) -> tuple[Place, ...]:
    """Sources and targets, each once, then the registries that no mirror uses."""
    mirrors: dict[tuple[Role, str], list[str]] = defaultdict(list)
    for mirror in settings.mirrors.values():
        mirrors["source", mirror.source].append(mirror.name)
        mirrors["target", mirror.target].append(mirror.name)
    places = []
    for (role, name), names in mirrors.items():
        reference = Reference.parse(name)
        places.append(Place(role, reference.registry, reference.repository, tuple(names)))
    used = {place.registry for place in places}
    for key in settings.registries:
        host = key.partition("/")[0]
        if host not in used:
            used.add(host)
            places.append(Place("registry", host, ""))
    return tuple(places)


async def _examine(
    settings: Settings, place: Place, secrets: SecretLoader, remembered: Remembered
) -> Examined:
    reached = endpoint(settings, place.registry, secrets)
    kind = known_registry(place.registry).kind
    try:
        credential = await asyncio.to_thread(reached.credential, place.repository)
    except ConfigError as error:
        return Examined(place, kind, None, checks=(Check("credential", Level.FAILURE, str(error)),))
    ends = expires_at(credential) if credential else None
    async with Registry(reached, retry=_RETRY, timeouts=_TIMEOUTS) as registry:
        registry.capabilities.load(remembered)
        seen = await _check_up(settings, place, registry)
    if credential is not None and ends is not None:
        seen.checks.insert(0, _expiry(place, credential.origin, ends))
    return Examined(
        place=place,
        kind=kind,
        credential=credential.origin if credential else None,
        expires_at=ends,
        tags=seen.tags,
        quota=seen.quota,
        abilities=seen.abilities,
        checks=tuple(seen.checks),
    )


async def _check_up(settings: Settings, place: Place, registry: Registry) -> Checkup:
    if place.role == "source":
        return await check_source(registry.repository(place.repository))
    if place.role == "target":
        outside = anonymous(settings, place.registry)
        async with Registry(outside, retry=_RETRY, timeouts=_TIMEOUTS) as stranger:
            return await check_target(
                registry.repository(place.repository), stranger.repository(place.repository)
            )
    seen = Checkup()
    try:
        await registry.ping()
        seen.add("reach", Level.OK, "answers")
    except RegistryError as error:
        seen.add("reach", Level.WARNING, f"{error}; no mirror uses it")
    return seen


def _expiry(place: Place, origin: str, ends: datetime) -> Check:
    left = ends - datetime.now(UTC)
    told = f"{origin} for {place.registry}"
    if left <= timedelta(0):
        return Check("credential", Level.FAILURE, f"{told} expired at {ends:%Y-%m-%d %H:%M} UTC")
    level = Level.WARNING if left < EXPIRES_SOON else Level.OK
    return Check("credential", level, f"{told} expires at {ends:%Y-%m-%d %H:%M} UTC")


async def _record(settings: Settings) -> tuple[Check, Mapping[Place, Remembered]]:
    """Whether the record can be used, and what it remembers of the targets' abilities."""
    targets: Sequence[Place] = [p for p in places_of(settings) if p.role == "target"]
    try:
        url = await asyncio.to_thread(database_url)
        await asyncio.to_thread(prepare, url)
        async with Record.open(url) as record:
            remembered = {p: await record.abilities(p.registry, p.repository) for p in targets}
    except DatabaseError as error:
        return Check("record", Level.FAILURE, str(error)), {}
    return Check("record", Level.OK, "the record answers"), remembered
