"""A check-up of one repository: what a sync needs of it, tried without changing anything.

A source has to list its tags and answer a HEAD. At a target an upload session is opened, asked
how far it is and cancelled; what else it can do is tried on a tag that it holds already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

from mirror.registry import (
    Descriptor,
    Manifest,
    NotFound,
    QuotaStatus,
    RegistryError,
    Repository,
    Unauthorized,
    UploadSession,
)
from mirror.sync import anonymous_trouble

QUOTA_LOW = 0.2  # of the limit; below that a warning


class Level(StrEnum):
    """How much a check's outcome matters."""

    OK = "ok"
    UNKNOWN = "unknown"  # cannot be told yet
    WARNING = "warning"  # syncs work, something else does not
    FAILURE = "failure"  # would fail a sync


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    what: str  # reach | credential | pull | push | anonymous | quota
    level: Level
    message: str


@dataclass
class Checkup:
    """What was seen of a repository so far."""

    checks: list[Check] = field(default_factory=list)
    tags: int | None = None
    quota: QuotaStatus | None = None
    abilities: dict[str, str | int | bool] = field(default_factory=dict)

    def add(self, what: str, level: Level, message: str) -> None:
        """Note the outcome of a check."""
        self.checks.append(Check(what, level, message))


async def check_source(repository: Repository) -> Checkup:
    """Whether a sync could read from it, and what is left of its pull quota."""
    seen = Checkup()
    try:
        tags = await repository.tags()
        if tags:
            await repository.head_manifest(tags[-1])
    except NotFound as error:
        seen.add("pull", Level.FAILURE, f"{error}: check the name in mirrors.yaml")
        return seen
    except RegistryError as error:
        seen.add(*_trouble(error, "pull"))
        return seen
    seen.tags = len(tags)
    seen.add("reach", Level.OK, "answers")
    seen.add("pull", Level.OK if tags else Level.WARNING, f"{len(tags)} tags can be read")
    _note_quota(seen, repository)
    return seen


async def check_target(repository: Repository, stranger: Repository) -> Checkup:
    """Whether a sync could write to it, what it is able to, and whether anybody may pull.

    `stranger`: the same repository, reached without a credential.
    """
    seen = Checkup()
    tags: list[str] = []
    unlisted: str | None = None
    try:
        tags = await repository.tags()
        seen.tags = len(tags)
    except NotFound:
        seen.tags = 0  # the first push makes it, where the registry allows that
    except RegistryError as error:
        what, level, unlisted = _trouble(error, "pull")
        if what == "reach":
            seen.add(what, level, unlisted)
            return seen
    seen.add("reach", Level.OK, "answers")
    pushes = await _push(seen, repository)
    if unlisted is not None:
        # Some registries deny the list of a repository that the first push would make.
        seen.add("pull", Level.WARNING if pushes else Level.FAILURE, unlisted)
    held = await _held(seen, repository, tags)
    await _stranger(seen, stranger, tags)
    if held is not None:
        await _abilities(seen, repository, held)
    seen.abilities = {**repository.registry.capabilities.dump(), **seen.abilities}
    return seen


def _trouble(error: RegistryError, what: str) -> tuple[str, Level, str]:
    """A failed request as a check: a registry that did answer was reached."""
    away = error.status is None and not isinstance(error, Unauthorized)
    return ("reach" if away else what), Level.FAILURE, str(error)


def _note_quota(seen: Checkup, repository: Repository) -> None:
    reading = seen.quota = repository.registry.quota
    if reading is None:
        return
    left = (
        f"{reading.remaining} of {reading.limit} pulls left in {reading.window_seconds // 3600} h"
    )
    if reading.remaining == 0:
        seen.add("quota", Level.FAILURE, f"{left}: a sync would stop at its first changed tag")
    elif reading.remaining < reading.limit * QUOTA_LOW:
        seen.add("quota", Level.WARNING, f"{left}: a login or another address has more")
    else:
        seen.add("quota", Level.OK, left)


async def _push(seen: Checkup, repository: Repository) -> bool:
    try:
        upload = await UploadSession.start(repository, "")
    except RegistryError as error:
        what, level, message = _trouble(error, "push")
        seen.add(what, level, message)
        return False
    try:
        seen.abilities["resume"] = await upload.resume()
        if upload.least_chunk:
            seen.abilities["least_chunk"] = upload.least_chunk
    except RegistryError:
        seen.abilities["resume"] = False
    finally:
        await upload.cancel()
    seen.add("push", Level.OK, "an upload was opened and cancelled")
    return True


async def _held(seen: Checkup, repository: Repository, tags: list[str]) -> Manifest | None:
    """The image of a tag that the target holds already; None where it holds none."""
    if not tags:
        return None
    try:
        manifest = await repository.get_manifest(tags[-1])
        while manifest.is_index and manifest.children:
            manifest = await repository.get_manifest(manifest.children[0].digest)
    except RegistryError as error:
        seen.add("pull", Level.WARNING, str(error))
        return None
    seen.add("pull", Level.OK, f"{len(tags)} tags can be read")
    return manifest


async def _stranger(seen: Checkup, stranger: Repository, tags: list[str]) -> None:
    trouble = await anonymous_trouble(stranger, tags[-1] if tags else None)
    if trouble is not None:
        seen.add("anonymous", Level.WARNING, trouble)
    elif tags:
        seen.add("anonymous", Level.OK, "anybody may pull")
    else:
        seen.add("anonymous", Level.UNKNOWN, "can be told once it holds a tag")


async def _abilities(seen: Checkup, repository: Repository, held: Manifest) -> None:
    """Try on what the target holds: mounting a blob where it is, a range, the referrers API."""
    blobs = sorted((blob for blob in held.blobs if blob.size > 1), key=lambda blob: blob.size)
    try:
        if blobs:
            seen.abilities["mount"] = await repository.mount_blob(blobs[0].digest, repository.name)
            await _read_tail(repository, blobs[0])
        await repository.referrers(held.digest)
    except RegistryError as error:
        seen.add("pull", Level.WARNING, str(error))
    learnt = repository.registry.capabilities
    seen.abilities["referrers"] = learnt.referrers is True
    if learnt.ranges is not None:
        seen.abilities["ranges"] = learnt.ranges


async def _read_tail(repository: Repository, blob: Descriptor) -> None:
    pieces: AsyncGenerator[bytes, None] = repository.read_blob(blob, blob.size - 1)
    async with aclosing(pieces):
        async for _ in pieces:
            return
