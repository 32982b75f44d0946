"""Deleting tags at a target without ever taking away another tag.

Registries that delete by tag are asked to. Others, distribution 2 among them, delete manifests
alone, and with a manifest go all tags that point at it: there a tag is deleted only if no other tag
of the repository points at its manifest and no index that is tagged lists it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mirror.concurrency import gather_all
from mirror.outcome import Change, KnownTag, TagStatus
from mirror.registry import NotFound, RegistryError, Repository, RequestRefused
from mirror.sync.context import SyncContext
from mirror.sync.tags import read_tags


class TagRemover:
    """Deletes tags of one repository, for one run. `going` are all that are to be deleted in it.

    `held` are digests by tag that the record has at the repository: what it knows to be shared
    need not be asked for.
    """

    def __init__(
        self, target: Repository, going: Collection[str], held: Mapping[str, str | None]
    ) -> None:
        self._target = target
        self._going = frozenset(going)
        self._held = held
        self._needed: dict[str, str] | None = None

    async def remove(self, tag: str) -> str | None:
        """Delete a tag; None when it is gone, else one line that says why it stays.

        A refusal or failure of the registry is in the line, not raised.
        """
        try:
            return await self._remove(tag)
        except RegistryError as error:
            return str(error)

    async def _remove(self, tag: str) -> str | None:
        try:
            await self._target.delete_tag(tag)
            return None
        except RequestRefused:
            pass  # it deletes manifests alone
        head = await self._target.head_manifest(tag)
        if head is None:
            return None
        if reason := await self._still_needed(tag, head.digest):
            return f"{self._target}:{tag} stays: the registry deletes by digest alone, and {reason}"
        await self._target.delete_manifest(head.digest)
        return None

    async def _still_needed(self, tag: str, digest: str) -> str | None:
        for other, held in self._held.items():
            if held == digest and other != tag and other not in self._going:
                return f"{other} points at the same manifest"
        if self._needed is None:
            self._needed = await self._survey()
        return self._needed.get(digest)

    async def _survey(self) -> dict[str, str]:
        """By digest, why the manifest has to stay: what every other tag points at, and below."""
        names = [name for name in await self._target.tags() if name not in self._going]
        heads = await gather_all((self._target.head_manifest(name) for name in names), go_on=False)
        needed: dict[str, str] = {}
        roots: dict[str, str] = {}
        for name, head in zip(names, heads, strict=True):
            if head is not None:
                needed.setdefault(head.digest, f"{name} points at the same manifest")
                roots.setdefault(head.digest, name)
        seen: set[str] = set()
        await gather_all(
            (self._below(digest, name, needed, seen) for digest, name in roots.items()), go_on=False
        )
        return needed

    async def _below(self, digest: str, tag: str, needed: dict[str, str], seen: set[str]) -> None:
        if digest in seen:
            return
        seen.add(digest)
        try:
            manifest = await self._target.get_manifest(digest)
        except NotFound:
            return
        for child in manifest.children:
            needed.setdefault(child.digest, f"it is a part of {tag}")
        await gather_all(
            (self._below(child.digest, tag, needed, seen) for child in manifest.children),
            go_on=False,
        )


async def delete_gone(
    context: SyncContext, run_id: str, deletions: Sequence[Change], known: Mapping[str, KnownTag]
) -> list[str]:
    """Delete and record tags whose grace period is over; a warning for each that stays.

    Each is looked for at the source once more: only what answers 404 now, as it did when it was
    marked as gone, is deleted.
    """
    held = {context.tags.target_name(tag.name): tag.target_digest for tag in known.values()}
    going = [change.target_tag for change in deletions]
    remover = TagRemover(context.clients.target, going, held)
    warnings = []
    there = await read_tags(context.clients.source, [change.tag for change in deletions])
    for change in deletions:
        head = there[change.tag]
        if head is not None:
            why = f"cannot be read there: {head}" if isinstance(head, RegistryError) else "is back"
            warnings.append(
                f"{change.tag} was not deleted: it is not gone at the source, but {why}"
            )
            continue
        await context.recorder.check_lock(context.mirror.target)
        if reason := await remover.remove(change.target_tag):
            warnings.append(f"{change.tag} is gone at the source and was not deleted: {reason}")
            continue
        await context.recorder.tag_skipped(
            run_id, context.mirror.name, change, TagStatus.DELETED, "gone at the source"
        )
    return warnings
