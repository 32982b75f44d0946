"""Entries for many repositories: ask their sources what there is, and settle what is mirrored."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mirror.config import SecretLoader, Settings
from mirror.errors import ConfigError
from mirror.history import RepositoryRecorder
from mirror.outcome import Reason, TagFailure, utcnow
from mirror.registry import RegistryError
from mirror.sync import KnownRepository, look_at_repositories


@dataclass(frozen=True)
class EntriesLook:
    """What a look at entries found.

    settings: those of mirrors.yaml with the mirrors of each entry's repositories; of an entry that
    could not be read, those that are known. updated: for each entry, the last push of the
    repositories whose list says so and that have changed since the last look at their tags.
    unchanged: mirrors whose source has not changed since.
    """

    settings: Settings
    updated: Mapping[str, Mapping[str, datetime]]
    unchanged: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    errors: tuple[TagFailure, ...] = ()

    @property
    def to_look_at(self) -> Settings:
        """The settings with the mirrors whose source may have changed."""
        mirrors = self.settings.mirrors
        changed = {name: one for name, one in mirrors.items() if name not in self.unchanged}
        return self.settings.model_copy(update={"mirrors": changed})

    def keep(self, recorder: RepositoryRecorder, looked: Collection[str]) -> None:
        """Keep the last push of the repositories whose mirrors' tags were looked at.

        Until something is pushed there, the next look leaves them out. Blocks; raises DatabaseAway.
        """
        for entry, updated in self.updated.items():
            seen = {name: at for name, at in updated.items() if f"{entry}/{name}" in looked}
            if seen:
                recorder.looked(entry, seen)


async def look_at_entries(
    settings: Settings,
    recorder: RepositoryRecorder,
    secrets: SecretLoader | None = None,
    *,
    entries: Sequence[str] | None = None,
    accept_loss: bool = False,
) -> EntriesLook:
    """List the repositories of entries (all by default) and write what changed to the history.

    Registry errors are in the result. Raises DatabaseAway, ConfigError.
    """
    names = tuple(settings.entries if entries is None else entries)
    known = await asyncio.to_thread(recorder.read, tuple(settings.entries))
    mirrored = {entry: _mirrored(repositories) for entry, repositories in known.items()}
    updated: dict[str, dict[str, datetime]] = {}
    unchanged: set[str] = set()
    warnings: list[str] = []
    errors: list[TagFailure] = []
    for name in names:
        now = utcnow()
        try:
            look = await look_at_repositories(
                settings, settings.entries[name], known[name], now, secrets, accept_loss=accept_loss
            )
        except RegistryError as error:
            errors.append(TagFailure(name, Reason(error.reason), str(error)))
            continue
        await asyncio.to_thread(recorder.write, look, now)
        mirrored[name] = look.mirrored
        warnings += look.warnings
        times = {one: at for one, at in look.listed.items() if at is not None}
        seen = {one: known[name][one].updated_at for one in times if one in known[name]}
        updated[name] = {one: at for one, at in times.items() if seen.get(one) != at}
        due = await asyncio.to_thread(recorder.due, name, now)
        unchanged |= {f"{name}/{one}" for one in times if seen.get(one) == times[one]} - due
    return EntriesLook(
        settings.expanded(mirrored), updated, frozenset(unchanged), tuple(warnings), tuple(errors)
    )


async def sample_entries(
    settings: Settings, secrets: SecretLoader, most: int = 3
) -> tuple[Settings, Mapping[str, str]]:
    """The settings with some mirrors of each entry, and by entry what a look at it warns of."""
    names: dict[str, list[str]] = {}
    troubles: dict[str, str] = {}
    for name, entry in settings.entries.items():
        try:
            look = await look_at_repositories(settings, entry, {}, utcnow(), secrets)
        except (RegistryError, ConfigError) as error:
            troubles[name] = str(error)
            continue
        names[name] = list(look.mirrored[:most])
        if look.warnings:
            troubles[name] = "; ".join(look.warnings)
    return settings.expanded(names), troubles


def _mirrored(repositories: Mapping[str, KnownRepository]) -> tuple[str, ...]:
    return tuple(name for name, one in repositories.items() if one.gone_at is None)
