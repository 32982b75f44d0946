"""Preflight checks of one repository: what a sync needs of it, tried without changing anything.

A source must list its tags and answer a HEAD. At a target an upload session is opened, its status
read, and cancelled; other abilities are tried on a tag that the target holds already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

from mirror.registry import (
    Descriptor,
    HubApi,
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


class CheckLevel(StrEnum):
    """How much a check's outcome matters."""

    OK = "ok"
    UNKNOWN = "unknown"  # cannot be checked yet
    WARNING = "warning"  # syncs work, something else does not
    FAILURE = "failure"  # would make a sync fail


@dataclass(frozen=True)
class PreflightCheck:
    """One thing that was checked."""

    what: str  # reach | credential | pull | push | anonymous | quota | signature
    level: CheckLevel
    message: str


@dataclass
class Preflight:
    """What was found about a repository so far."""

    checks: list[PreflightCheck] = field(default_factory=list)
    tags: int | None = None
    names: frozenset[str] | None = None  # of a source's tags
    quota: QuotaStatus | None = None
    abilities: dict[str, str | int | bool] = field(default_factory=dict)

    def add(self, what: str, level: CheckLevel, message: str) -> None:
        """Note the outcome of a check."""
        self.checks.append(PreflightCheck(what, level, message))


async def check_source(repository: Repository) -> Preflight:
    """Check whether a sync could read from it, and what is left of its pull quota."""
    seen = Preflight()
    try:
        tags = await repository.tags()
        headless = bool(tags) and await repository.head_manifest(tags[-1]) is None
        if headless:
            await repository.get_manifest(tags[-1])  # as a sync does: some answer HEAD with 404
    except NotFound as error:
        seen.add("pull", CheckLevel.FAILURE, f"{error}: check the name in mirrors.yaml")
        return seen
    except RegistryError as error:
        seen.add(*_trouble(error, "pull"))
        return seen
    seen.tags, seen.names = len(tags), frozenset(tags)
    seen.add("reach", CheckLevel.OK, "answers")
    seen.add("pull", CheckLevel.OK if tags else CheckLevel.WARNING, f"{len(tags)} tags can be read")
    if headless:
        message = f"404 to HEAD of {tags[-1]}, which GET has: every look at a tag costs a GET"
        seen.add("pull", CheckLevel.WARNING, message)
    if repository.odd_tags:
        odd = ", ".join(repository.odd_tags[:3])
        message = f"{len(repository.odd_tags)} listed names are no tags, left out: {odd}"
        seen.add("pull", CheckLevel.WARNING, message)
    if repository.registry.endpoint.hub_api is not None:
        await _check_hub(seen, repository)
    _note_quota(seen, repository)
    return seen


async def _check_hub(seen: Preflight, repository: Repository) -> None:
    try:
        async with aclosing(HubApi(repository.registry).pages(repository.name)) as pages:
            await anext(pages, None)
    except RegistryError as error:
        message = f"{error}: syncs use the registry's own tag list"
        seen.add("reach", CheckLevel.WARNING, message)


async def check_target(repository: Repository, anonymous: Repository) -> Preflight:
    """Check whether a sync could write to it, its abilities, and whether anybody may pull.

    `anonymous`: the same repository, reached without a credential.
    """
    seen = Preflight()
    tags: list[str] = []
    unlisted: str | None = None
    try:
        tags = await repository.tags()
        seen.tags = len(tags)
    except NotFound:
        seen.tags = 0  # the first push creates it, where the registry allows that
    except RegistryError as error:
        what, level, unlisted = _trouble(error, "pull")
        if what == "reach":
            seen.add(what, level, unlisted)
            return seen
    seen.add("reach", CheckLevel.OK, "answers")
    pushes = await _push(seen, repository)
    if unlisted is not None:
        # Some registries deny the list of a repository that the first push would create.
        seen.add("pull", CheckLevel.WARNING if pushes else CheckLevel.FAILURE, unlisted)
    held = await _held(seen, repository, tags)
    await _check_anonymous(seen, anonymous, tags)
    if held is not None:
        await _abilities(seen, repository, held)
    seen.abilities = {**repository.registry.capabilities.dump(), **seen.abilities}
    return seen


def _trouble(error: RegistryError, what: str) -> tuple[str, CheckLevel, str]:
    """A failed request as a check: a registry that answered was reached."""
    away = error.status is None and not isinstance(error, Unauthorized)
    return ("reach" if away else what), CheckLevel.FAILURE, str(error)


def _note_quota(seen: Preflight, repository: Repository) -> None:
    reading = seen.quota = repository.registry.quota
    if reading is None:
        return
    left = (
        f"{reading.remaining} of {reading.limit} pulls left in {reading.window_seconds // 3600} h"
    )
    if reading.remaining == 0:
        seen.add("quota", CheckLevel.FAILURE, f"{left}: a sync would stop at its first changed tag")
    elif reading.remaining < reading.limit * QUOTA_LOW:
        seen.add("quota", CheckLevel.WARNING, f"{left}: a login, or another IP address, has more")
    else:
        seen.add("quota", CheckLevel.OK, left)


async def _push(seen: Preflight, repository: Repository) -> bool:
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
    seen.add("push", CheckLevel.OK, "an upload was opened and cancelled")
    return True


async def _held(seen: Preflight, repository: Repository, tags: list[str]) -> Manifest | None:
    """The image of a tag that the target holds already; None where it holds none."""
    if not tags:
        return None
    try:
        manifest = await repository.get_manifest(tags[-1])
        while manifest.is_index and manifest.children:
            manifest = await repository.get_manifest(manifest.children[0].digest)
    except RegistryError as error:
        seen.add("pull", CheckLevel.WARNING, str(error))
        return None
    seen.add("pull", CheckLevel.OK, f"{len(tags)} tags can be read")
    return manifest


async def _check_anonymous(seen: Preflight, anonymous: Repository, tags: list[str]) -> None:
    trouble = await anonymous_trouble(anonymous, tags[-1] if tags else None)
    if trouble is not None:
        seen.add("anonymous", CheckLevel.WARNING, trouble)
    elif tags:
        seen.add("anonymous", CheckLevel.OK, "anybody may pull")
    else:
        seen.add("anonymous", CheckLevel.UNKNOWN, "unknown until it holds a tag")


async def _abilities(seen: Preflight, repository: Repository, held: Manifest) -> None:
    """Try on what the target holds: mounting a blob onto itself, a range, the referrers API."""
    blobs = sorted((blob for blob in held.blobs if blob.size > 1), key=lambda blob: blob.size)
    try:
        if blobs:
            seen.abilities["mount"] = await repository.mount_blob(blobs[0].digest, repository.name)
            await _read_tail(repository, blobs[0])
        await repository.referrers(held.digest)
    except RegistryError as error:
        seen.add("pull", CheckLevel.WARNING, str(error))
    learned = repository.registry.capabilities
    seen.abilities["referrers"] = learned.referrers is True
    if learned.ranges is not None:
        seen.abilities["ranges"] = learned.ranges


async def _read_tail(repository: Repository, blob: Descriptor) -> None:
    pieces: AsyncGenerator[bytes, None] = repository.read_blob(blob, blob.size - 1)
    async with aclosing(pieces):
        async for _ in pieces:
            return
