"""Discovery: what the source holds, with as few requests as the source allows.

With Docker Hub's web API one request per 100 tags, newest first, up to the first page that ends
with nothing new; its answers may lag or be stale, so a tag that seems to have changed is confirmed
by a HEAD at the registry. Elsewhere tags/list and a HEAD per tag. A full discovery reads all of it,
by HEAD at the source, and looks at the target too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mirror.outcome import Discovery, Reason, SourceTag, TagFailure
from mirror.registry import (
    RegistryError,
    is_tag,
)
from mirror.sync.tags.listing import (
    DiscoverRequest,
    Listing,
    admits,
    list_source,
    odd_names,
    source_tag,
    start_heads,
    unchanged,
    unmatched,
)
from mirror.sync.tags.lost_tags import look_again, read_tags, settle_lost
from mirror.sync.tags.prefetch import Head, Prefetch
from mirror.sync.tags.tag_rules import companion_prefix, matches, subject_of


async def discover(request: DiscoverRequest, prefetch: Prefetch | None = None) -> Discovery:
    """Look at the source, and for a comparison at the target.

    Raises RegistryError when the source's list cannot be read; a tag whose digest cannot be read
    is a failure of that tag alone.
    """
    if prefetch is None:
        async with Prefetch(request.source, request.target, request.hub) as prefetch:
            return await discover(request, prefetch)
    prefetch.start_listing()
    if request.compares and not request.known:
        prefetch.start_first_look()
    found: list[SourceTag] = []
    failed: list[TagFailure] = []
    listing = await list_source(request, prefetch)
    unlisted = await look_again(request, listing, prefetch)
    images = _admitted(request, listing)
    target, _ = await asyncio.gather(
        _target(request, images, prefetch),
        _resolve(request, listing, images, prefetch, found, failed),
    )
    if companions := await _companions_of(request, listing, images, prefetch, found):
        await _resolve(request, listing, companions, prefetch, found, failed)
        target |= await _target(request, companions, prefetch)
    lost = settle_lost(request, listing, unlisted, found)
    seen: dict[str, str | None] | None = None
    if request.compares:
        seen = _seen(target)
        found = _comparable(request, found, target, failed)
    return Discovery(
        tags=tuple(found),
        complete=listing.complete,
        via="hub_api" if listing.by_hub else "tags_list",
        target=seen,
        listed=frozenset(listing.names),
        companions=frozenset(name for name in listing.names if subject_of(name)),
        failed=tuple(failed),
        suspicion=lost.suspicion,
        warnings=(
            *unmatched(request, listing, found, failed),
            *odd_names(request, listing),
            *lost.warnings,
        ),
    )


async def _resolve(
    request: DiscoverRequest,
    listing: Listing,
    names: set[str],
    prefetch: Prefetch,
    found: list[SourceTag],
    failed: list[TagFailure],
) -> None:
    """Add to found each name with its digest: from the record where that suffices, else by HEAD."""
    asked: list[str] = []
    unreadable: list[str] = []
    for name in sorted(names):
        if tag := unchanged(request, listing, name):
            found.append(tag)
        else:
            asked.append(name)
    start_heads(request, prefetch, asked)
    for name, digest in (await prefetch.source_heads.of(asked)).items():
        if isinstance(digest, RegistryError):
            failed.append(TagFailure(name, Reason(digest.reason), str(digest)))
        elif digest is not None:
            found.append(source_tag(name, digest, listing.hints.get(name)))
        else:
            unreadable.append(name)
    for name, digest in (await read_tags(request.source, unreadable)).items():
        if isinstance(digest, str):
            found.append(source_tag(name, digest, listing.hints.get(name)))
        else:
            failed.append(_unreadable(request, name, digest))


def _unreadable(request: DiscoverRequest, name: str, error: RegistryError | None) -> TagFailure:
    """A tag that is listed and cannot be read has failed; it was not deleted."""
    if error is not None:
        return TagFailure(name, Reason(error.reason), str(error))
    message = f"{request.source}:{name} is listed by the source, which answers 404 for it"
    return TagFailure(name, Reason.NOT_FOUND, message)


def _admitted(request: DiscoverRequest, listing: Listing) -> set[str]:
    """The names that the policy lets through; companions by themselves only where it is `*`."""
    admitted = {name for name in listing.names if admits(request, name)}
    if request.rules.newest is None:
        return admitted
    times = {name: known.pushed_at or known.detected_at for name, known in request.known.items()}
    times.update({name: hint.pushed_at for name, hint in listing.hints.items() if hint.pushed_at})
    pool = (
        admitted if listing.complete else admitted | {n for n in times if request.rules.admits(n)}
    )
    companions = {name for name in admitted if subject_of(name)}
    return admitted & (request.rules.newest_of((n, times.get(n)) for n in pool) | companions)


async def _companions_of(
    request: DiscoverRequest,
    listing: Listing,
    images: set[str],
    prefetch: Prefetch,
    found: list[SourceTag],
) -> set[str]:
    """Companion tags that the policy does not name, of images that it does."""
    if not request.rules.companions:
        return set()
    subjects = {companion_prefix(tag.digest) for tag in found}
    subjects |= {
        companion_prefix(k.source_digest) for k in request.known.values() if k.source_digest
    }
    others = {
        name: subject
        for name in listing.names - images
        if (subject := subject_of(name)) and not matches(name, request.rules.exclude)
    }
    own = {name for name in others if name.partition(".")[0] in subjects or name in request.known}
    if request.compares and request.known:
        # What signs a single platform of an image names a digest that only its index knows; the
        # target holds that manifest if the image is mirrored.
        asked = sorted({others[name] for name in others.keys() - own})
        there = await prefetch.target_heads.of(asked)
        own |= {name for name, subject in others.items() if isinstance(there.get(subject), str)}
    return own


async def _target(
    request: DiscoverRequest, admitted: set[str], prefetch: Prefetch
) -> dict[str, Head]:
    """The target's digest by name there, None where absent; nothing where it is not compared."""
    if not request.compares:
        return {}
    names = sorted({request.rules.target_name(name) for name in admitted | request.known.keys()})
    if not request.known and await prefetch.target_is_empty():
        return dict.fromkeys(names)
    heads = await prefetch.target_heads.of(name for name in names if is_tag(name))
    # A name that rename made too long cannot be there; the copy says what is wrong with it.
    return dict.fromkeys(names) | heads


def _seen(heads: Mapping[str, Head]) -> dict[str, str | None]:
    """What the target was seen to hold.

    Raises the first error where not one tag could be had: the target as a whole is at fault.
    """
    seen = {name: head for name, head in heads.items() if not isinstance(head, RegistryError)}
    if heads and not seen:
        raise next(error for error in heads.values() if isinstance(error, RegistryError))
    return seen


def _comparable(
    request: DiscoverRequest,
    found: list[SourceTag],
    heads: Mapping[str, Head],
    failed: list[TagFailure],
) -> list[SourceTag]:
    """The tags that the target answered for; each of the others is recorded as a failure."""
    comparable = []
    for tag in found:
        head = heads.get(request.rules.target_name(tag.name))
        if isinstance(head, RegistryError):
            failed.append(TagFailure(tag.name, Reason(head.reason), str(head)))
        else:
            comparable.append(tag)
    return comparable
