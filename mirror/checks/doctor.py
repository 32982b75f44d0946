"""What `mirror doctor` examines: every repository and registry of mirrors.yaml, and the history.

No Prefect here: the command passes what loads Secret blocks.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mirror.checks.entries import sample_entries
from mirror.checks.preflight import (
    CheckLevel,
    Preflight,
    PreflightCheck,
    check_source,
    check_target,
)
from mirror.checks.source_policy import check_policies
from mirror.config import (
    EntrySettings,
    SecretLoader,
    Settings,
    anonymous,
    did_you_mean,
    endpoint,
    expires_at,
    load_cosign_keys,
)
from mirror.errors import ConfigError, DatabaseError
from mirror.history import PostgresRecorder, UnknownMirror, database_url, prepare
from mirror.outcome import KnownTag, utcnow
from mirror.registry import (
    QuotaStatus,
    Reference,
    Refusal,
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
    key: str = ""  # of `registries:`, where no mirror uses it


@dataclass(frozen=True)
class Examination:
    """What was found at a place. `credential` is its origin, None for anonymous access."""

    place: Place
    kind: str  # of registry, by its host name: aliyun-personal, azure, unknown
    credential: str | None
    expires_at: datetime | None = None
    tags: int | None = None
    quota: QuotaStatus | None = None
    abilities: Remembered = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    checks: tuple[PreflightCheck, ...] = ()

    def level(self, what: str) -> CheckLevel | None:
        """The worst outcome of the checks of that name; None if there was none."""
        levels = [check.level for check in self.checks if check.what == what]
        return max(levels, key=list(CheckLevel).index, default=None)


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was examined."""

    examined: tuple[Examination, ...]
    record: PreflightCheck

    @property
    def well(self) -> bool:
        """True if nothing would make a sync fail."""
        return not self.failures

    @property
    def failures(self) -> tuple[PreflightCheck, ...]:
        """The checks that would make a sync fail."""
        checks = [self.record, *(check for one in self.examined for check in one.checks)]
        return tuple(check for check in checks if check.level is CheckLevel.FAILURE)


async def examine(
    settings: Settings, secrets: SecretLoader, clock: Callable[[], datetime] = utcnow
) -> Diagnosis:
    """Reach everything that mirrors.yaml names. Problems are in the result, not raised.

    `clock` gives the present moment, aware, by which credentials expire.
    """
    settings, troubles = await sample_entries(settings, secrets)
    record, history = await _record(settings)
    places, now = places_of(settings), clock()
    examined = await asyncio.gather(
        *(
            _examine(settings, place, secrets, history.get(place, _History()), now)
            for place in places
        )
    )
    unread = (_unread(settings.entries[name], why) for name, why in troubles.items())
    return Diagnosis((*examined, *unread), record)


def _unread(entry: EntrySettings, why: str) -> Examination:
    """An entry whose repositories cannot be listed, or fit nothing."""
    place = Place("source", entry.registry, f"{entry.prefix}*", (entry.name,))
    kind = known_registry(entry.registry).kind
    return Examination(
        place, kind, None, checks=(PreflightCheck("reach", CheckLevel.FAILURE, why),)
    )


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
    used = _used(settings)
    for key in settings.registries:
        host = key.partition("/")[0]
        if not any(name == key or name.startswith(f"{key}/") for name in used):
            places.append(Place("registry", host, "", key=key))
    return tuple(places)


def _used(settings: Settings) -> set[str]:
    """Every repository that mirrors.yaml names, as `host[:port]/path`, and its registry."""
    names = {name for policy in settings.policies for name in (policy.source, policy.target)}
    return names | {name.partition("/")[0] for name in names}


def _unused(settings: Settings, key: str) -> PreflightCheck:
    """An entry of `registries:` that changes nothing is most often a name with a mistake."""
    hosts = {name for name in _used(settings) if "/" not in name}
    meant = did_you_mean(key, hosts - settings.registries.keys())
    return PreflightCheck(
        "config", CheckLevel.WARNING, f"registries.{key}: no mirror uses this entry{meant}"
    )


async def _examine(
    settings: Settings, place: Place, secrets: SecretLoader, history: _History, now: datetime
) -> Examination:
    reached = endpoint(settings, place.registry, secrets)
    kind = known_registry(place.registry).kind
    try:
        credential = await asyncio.to_thread(reached.credential, place.repository)
    except ConfigError as error:
        if place.role == "registry":  # no sync asks for it
            unset = PreflightCheck("credential", CheckLevel.WARNING, str(error))
            return Examination(place, kind, None, checks=(_unused(settings, place.key), unset))
        unset = PreflightCheck("credential", CheckLevel.FAILURE, str(error))
        return Examination(place, kind, None, checks=(unset,))
    ends = expires_at(credential) if credential else None
    async with Registry(reached, retry=_RETRY, timeouts=_TIMEOUTS) as registry:
        registry.capabilities.load(history.abilities)
        seen = await _check_up(settings, place, registry)
        refusals = {**history.refusals, **registry.capabilities.refusals}
    if place.role == "source" and seen.names is not None:
        mirrors = [settings.mirrors[name] for name in place.mirrors if name in settings.mirrors]
        seen.checks += check_policies(mirrors, seen.names, history.known)
    if place.role == "source":
        seen.checks += await asyncio.to_thread(_check_keys, settings, place)
    if credential is not None and ends is not None:
        seen.checks.insert(0, _expiry(place, credential.origin, ends, now))
    return Examination(
        place=place,
        kind=kind,
        credential=credential.origin if credential else None,
        expires_at=ends,
        tags=seen.tags,
        quota=seen.quota,
        abilities=seen.abilities,
        refusals=refusals,
        checks=tuple(seen.checks),
    )


def _check_keys(settings: Settings, place: Place) -> list[PreflightCheck]:
    """Whether the keys can be used by which the images of a source's mirrors must be signed."""
    checks = []
    for name in place.mirrors:
        policy = settings.mirrors.get(name) or settings.entries[name.partition("/")[0]]
        if policy.verify is None:
            continue
        try:
            keys = load_cosign_keys(settings.path, policy)
        except ConfigError as error:
            checks.append(PreflightCheck("signature", CheckLevel.FAILURE, str(error)))
        else:
            message = f"{name}: images must be signed by {' or '.join(map(str, keys))}"
            checks.append(PreflightCheck("signature", CheckLevel.OK, message))
    return checks


async def _check_up(settings: Settings, place: Place, registry: Registry) -> Preflight:
    if place.role == "source":
        return await check_source(registry.repository(place.repository))
    if place.role == "target":
        reached = anonymous(settings, place.registry)
        async with Registry(reached, retry=_RETRY, timeouts=_TIMEOUTS) as without_login:
            return await check_target(
                registry.repository(place.repository), without_login.repository(place.repository)
            )
    seen = Preflight(checks=[_unused(settings, place.key)])
    try:
        await registry.ping()
        seen.add("reach", CheckLevel.OK, "answers")
    except RegistryError as error:
        seen.add("reach", CheckLevel.WARNING, str(error))
    return seen


def _expiry(place: Place, origin: str, ends: datetime, now: datetime) -> PreflightCheck:
    left = ends - now
    whose = f"{origin} for {place.registry}"
    if left <= timedelta(0):
        return PreflightCheck(
            "credential", CheckLevel.FAILURE, f"{whose} expired at {ends:%Y-%m-%d %H:%M} UTC"
        )
    level = CheckLevel.WARNING if left < EXPIRES_SOON else CheckLevel.OK
    return PreflightCheck("credential", level, f"{whose} expires at {ends:%Y-%m-%d %H:%M} UTC")


@dataclass(frozen=True)
class _History:
    """What the history keeps of a repository's registry."""

    abilities: Remembered = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, KnownTag]] = field(default_factory=dict)  # by mirror


async def _record(settings: Settings) -> tuple[PreflightCheck, Mapping[Place, _History]]:
    """Whether the history can be used, and what it keeps of the registries."""
    places: Sequence[Place] = [p for p in places_of(settings) if p.role != "registry"]
    try:
        url = await asyncio.to_thread(database_url)
        await asyncio.to_thread(prepare, url)
        async with PostgresRecorder.open(url) as record:
            history = {p: await _kept(record, p) for p in places}
    except DatabaseError as error:
        return PreflightCheck("record", CheckLevel.FAILURE, str(error)), {}
    return PreflightCheck("record", CheckLevel.OK, "the history database answers"), history


async def _kept(record: PostgresRecorder, place: Place) -> _History:
    refusals = await record.refusals(place.registry, place.repository)
    if place.role == "source":
        known = {}
        for name in place.mirrors:
            with suppress(UnknownMirror):  # it was never synced
                known[name] = await record.known_tags(name)
        return _History(refusals=refusals, known=known)
    return _History(await record.abilities(place.registry, place.repository), refusals)
