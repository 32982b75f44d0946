"""Signatures and SBOMs that came later than their image, in a full sync."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mirror.outcome import ChangeKind, KnownTag
from mirror.registry import Reference, RegistryError
from mirror.sync.context import SyncRun
from mirror.sync.late_referrers import LateReferrers, Mirrored
from mirror.sync.tag_rules import companion_prefix


async def mark_late_referrers(run: SyncRun) -> None:
    """Mark the tags that did not move and whose image has a referrer that the target lacks.

    Costs nothing where the source is not known to have the referrers API; a registry that fails is
    a warning, since every tag can be compared all the same.
    """
    source = Reference.parse(run.mirror.source)
    abilities = run.sides.source.registry.capabilities
    if not (run.full and run.mirror.referrers) or abilities.referrers is False:
        return
    remembered = await run.record.abilities(source.registry, source.repository)
    if not remembered.get("referrers"):
        return
    abilities.referrers = True
    images = {tag.name: image for tag in _unmoved(run) if (image := _mirrored(tag))}
    look = LateReferrers(run.sides.source, run.sides.target, _once(run))
    try:
        behind = await look.behind(list(images.values()))
    except RegistryError as error:
        run.warnings.append(f"signatures and SBOMs were not compared: {error}")
        return
    for name, image in images.items():
        if image.source_digest in behind:
            # With its fallback tag, which grows by the referrer where the target has no list.
            for marked in (name, companion_prefix(image.source_digest)):
                if marked in run.known:
                    run.known[marked] = replace(run.known[marked], suspect=ChangeKind.REFERRERS)


async def learn_source(run: SyncRun) -> None:
    """Remember whether the source has the referrers API."""
    source = Reference.parse(run.mirror.source)
    known = run.sides.source.registry.capabilities.referrers
    if known is not None:
        await run.record.save_abilities(source.registry, source.repository, {"referrers": known})


def _unmoved(run: SyncRun) -> list[KnownTag]:
    """Tags that are where they were last copied from, newest first."""
    found = [
        state
        for tag in run.discovery.tags
        if (state := run.known.get(tag.name))
        and state.copied_digest == tag.digest
        and state.suspect is None
    ]
    return sorted(found, key=_moved_at, reverse=True)


def _moved_at(tag: KnownTag) -> float:
    moment = tag.pushed_at or tag.detected_at
    return moment.timestamp() if moment else 0.0


def _mirrored(tag: KnownTag) -> Mirrored | None:
    if tag.copied_digest is None or tag.target_digest is None:
        return None
    return Mirrored(tag.copied_digest, tag.target_digest)


def _once(run: SyncRun) -> Callable[[], Awaitable[frozenset[str]]]:
    found: list[frozenset[str]] = []

    async def dropped() -> frozenset[str]:
        if not found:
            found.append(await run.record.dropped_digests(run.mirror.name))
        return found[0]

    return dropped
