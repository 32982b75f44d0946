"""The repositories of an entry: what its source lists now, and how far that list is believed.

A source that is misread is not an empty source, for repositories as for tags (lost_tags.py): a list
that lacks more than `delete_share` of the known repositories, or all of them, is suspicious and
marks nothing. A repository is given up only after lists a day apart lacked it. Nothing of it is
ever deleted at the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mirror.config import EntrySettings, SecretLoader, Settings, endpoint
from mirror.errors import ConfigError
from mirror.registry import HubApi, ListedRepository, Registry, RegistryError, list_repositories
from mirror.sync.tags.lost_tags import GRACE


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """What the history knows of a repository of an entry. Times are UTC.

    name: the part of the path that the * of the source replaces. missing_since: of the first list
    that lacked it. gone_at: when it was given up. updated_at: when its source last changed, as far
    as a watch has looked at it.
    """

    name: str
    missing_since: datetime | None = None
    gone_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RepositoryLook:
    """One list of an entry's repositories, judged.

    listed: names, with the time of the last push where the list says so. kept: what the list lacks
    and is mirrored all the same; missing: those of them that an earlier list may not have lacked.
    gone: what is given up.
    """

    entry: str
    listed: Mapping[str, datetime | None]
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def mirrored(self) -> tuple[str, ...]:
        """What is mirrored from now on, by name."""
        return tuple(sorted({*self.listed, *self.kept}))


async def look_at_repositories(
    settings: Settings,
    entry: EntrySettings,
    known: Mapping[str, KnownRepository],
    now: datetime,
    secrets: SecretLoader | None = None,
    *,
    accept_loss: bool = False,
) -> RepositoryLook:
    """List an entry's repositories, by its file, Docker Hub's web API or /v2/_catalog.

    Raises RegistryError when the source cannot be read, ConfigError for a bad file.
    """
    if entry.repositories.file is not None:
        names = await asyncio.to_thread(_names_in_file, settings, entry)
        return judge(entry, dict.fromkeys(names), known, now, accept_loss=True)
    warnings: tuple[str, ...] = ()
    async with Registry(endpoint(settings, entry.registry, secrets)) as registry:
        namespace = entry.prefix.rpartition("/")[0]
        if registry.endpoint.web_api is not None and namespace:
            try:
                listed = await HubApi(registry).repositories(namespace)
            except RegistryError as error:
                try:
                    listed = await list_repositories(registry)
                except RegistryError:
                    raise error from None
                warnings = (f"{error}; the registry's own list is used",)
        else:
            listed = await list_repositories(registry)
    look = judge(entry, _admitted(entry, listed), known, now, accept_loss=accept_loss)
    return replace(look, warnings=warnings + look.warnings)


def judge(
    entry: EntrySettings,
    listed: Mapping[str, datetime | None],
    known: Mapping[str, KnownRepository],
    now: datetime,
    *,
    accept_loss: bool = False,
) -> RepositoryLook:
    """What a complete list means, by what was known before."""
    mirrored = {
        name: one for name, one in known.items() if one.gone_at is None and entry.admits(name)
    }
    lost = sorted(mirrored.keys() - listed.keys())
    if accept_loss:
        return RepositoryLook(entry.name, listed, gone=tuple(lost))
    if lost and (len(lost) > entry.tags.delete_share * len(mirrored) or not listed):
        warning = (
            f"{entry.source} no longer lists {len(lost)} of {len(mirrored)} known repositories"
            f" ({_shown(lost)}): suspicious, so all are still mirrored; if they were deleted on"
            f" purpose, run: mirror sync {entry.name} --accept-loss"
        )
        return RepositoryLook(entry.name, listed, kept=tuple(lost), warnings=(warning,))
    gone = [name for name in lost if (mirrored[name].missing_since or now) <= now - GRACE]
    kept = tuple(name for name in lost if name not in gone)
    warnings: tuple[str, ...] = ()
    if not listed and not kept:
        warnings = (f"{entry.source} lists no repository that mirrors.{entry.name} admits",)
    return RepositoryLook(entry.name, listed, kept, kept, tuple(gone), warnings)


def _admitted(
    entry: EntrySettings, listed: tuple[ListedRepository, ...]
) -> dict[str, datetime | None]:
    return {
        name: one.updated_at
        for one in listed
        if one.name.startswith(entry.prefix)
        and entry.admits(name := one.name.removeprefix(entry.prefix))
    }


def _names_in_file(settings: Settings, entry: EntrySettings) -> list[str]:
    """The names in `repositories.file`, one per line; # starts a comment."""
    path = settings.path.parent / str(entry.repositories.file)
    where = f"{settings.path}: mirrors.{entry.name}.repositories.file: {path}"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from error
    names = [text for line in lines if (text := line.partition("#")[0].strip())]
    return [name for name in dict.fromkeys(names) if entry.admits(name)]


def _shown(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
