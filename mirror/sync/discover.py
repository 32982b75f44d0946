"""Discovery: what the source holds, with as few requests as the source allows.

With Docker Hub's web API one request per 100 tags, newest first, up to the first page that ends
with nothing new; its answers may lag or be stale, so a tag that seems to have changed is confirmed
by a HEAD at the registry. Elsewhere tags/list and a HEAD per tag. A full discovery reads all of it,
by HEAD at the source, and looks at the target too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mirror.outcome import Discovery, KnownTag, Reason, SourceTag, TagFailure, utcnow
from mirror.registry import (
    HubApi,
    HubPage,
    HubTag,
    NotFound,
    OptionalRequest,
    RegistryError,
    Repository,
    is_tag,
)
from mirror.sync.concurrency import gather_both
from mirror.sync.lost_tags import find_lost_tags
from mirror.sync.prefetch import Head, Prefetch
from mirror.sync.tag_rules import TagRules, companion_prefix, matches, subject_of

# Tags at a page's end that must all be known, in case the list is not quite in order.
_OLD_NEWS = 20


@dataclass(frozen=True)
class DiscoverRequest:
    """What a discovery works with."""

    source: Repository
    target: Repository
    rules: TagRules
    known: Mapping[str, KnownTag]
    full: bool
    hub: HubApi | None = None
    mirror: str = ""  # its name, for messages
    accept_loss: bool = False  # a person says that what is lost was deleted on purpose
    watching: bool = False  # only whether anything moved: the newest page is enough

    @property
    def compares(self) -> bool:
        """True if the target is looked at: on demand, and when the record knows nothing yet."""
        return not self.watching and (self.full or not self.known)


@dataclass
class _Listing:
    """Names seen at the source, and what the web API says of them."""

    names: set[str] = field(default_factory=set)
    hints: dict[str, HubTag] = field(default_factory=dict)
    complete: bool = False
    odd: list[str] = field(default_factory=list)
    by_hub: bool = False


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
    listing = await _list(request, prefetch)
    unlisted = await _look_again(request, listing, prefetch)
    images = _admitted(request, listing)
    target, _ = await asyncio.gather(
        _target(request, images, prefetch),
        _resolve(request, listing, images, prefetch, found, failed),
    )
    if companions := await _companions_of(request, listing, images, prefetch, found):
        await _resolve(request, listing, companions, prefetch, found, failed)
        target |= await _target(request, companions, prefetch)
    lost = _settle_lost(request, listing, unlisted, found)
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
            *_unmatched(request, listing, found, failed),
            *_odd(request, listing),
            *lost.warnings,
        ),
    )


@dataclass(frozen=True)
class _Settled:
    suspicion: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Unlisted:
    """Known tags that the list lacks, as they were read one by one."""

    heads: Mapping[str, Head] = field(default_factory=dict)
    suspicion: str | None = None


async def _look_again(request: DiscoverRequest, listing: _Listing, prefetch: Prefetch) -> _Unlisted:
    """Read the known tags that a complete list lacks, and the list again if it lied.

    A list that lacks a tag which is there was cut or filtered. It is read again, twice at most,
    until it holds them and all that it held before; what each adds is added to the listing.
    """
    if not listing.complete or request.watching:
        return _Unlisted()
    lost = find_lost_tags(listing.names, request.known, request.rules, utcnow())
    if not lost.names or (lost.suspicious and not request.accept_loss):
        return _Unlisted()
    heads = await read_tags(request.source, lost.names)
    there = {name for name, head in heads.items() if isinstance(head, str)}
    if not there:
        return _Unlisted(heads)
    listed = set(await prefetch.names())
    for _ in range(2):
        try:
            again = set(await request.source.tags())
        except RegistryError as error:
            return _Unlisted(heads, f"the tag list lacks tags that are there, and then: {error}")
        listed |= again
        listing.names |= again
        if again == listed and there <= again:
            return _Unlisted(heads)
    if again == listed:
        return _Unlisted(heads)  # it never lists them
    suspicion = f"{request.source} lists other tags each time: nothing was marked as gone"
    return _Unlisted(heads, suspicion)


def _settle_lost(
    request: DiscoverRequest, listing: _Listing, unlisted: _Unlisted, found: list[SourceTag]
) -> _Settled:
    """Find out which of the known tags that a complete list lacks are gone.

    A tag is gone only if the source answers 404 for it, by HEAD and by GET. Those that are there
    all the same are found; those that cannot be read stay as they are known.
    """
    if not listing.complete:
        return _Settled()
    lost = find_lost_tags(listing.names, request.known, request.rules, utcnow())
    if lost.suspicious and not request.accept_loss:
        where = str(request.source)
        return _Settled(suspicion=lost.describe(where, request.mirror))
    warnings = []
    for name in lost.names:
        head = unlisted.heads.get(name)
        if head is None:
            continue
        listing.names.add(name)
        if isinstance(head, RegistryError):
            warnings.append(f"whether {name} is gone at the source is unknown: {head}")
        else:
            warnings.append(f"the source does not list {name}, and has it")
            if _admits(request, name):
                found.append(_source_tag(name, head, None))
    return _Settled(unlisted.suspicion, tuple(warnings))


def _odd(request: DiscoverRequest, listing: _Listing) -> tuple[str, ...]:
    """A warning where what the source lists is not all tags."""
    odd = list(dict.fromkeys((*listing.odd, *request.source.odd_tags)))
    if not odd:
        return ()
    named = ", ".join(odd[:3]) + (", …" if len(odd) > 3 else "")
    return (f"{request.source} lists {len(odd)} names that are no tags, left out: {named}",)


def _unmatched(
    request: DiscoverRequest,
    listing: _Listing,
    found: list[SourceTag],
    failed: list[TagFailure],
) -> tuple[str, ...]:
    """A warning where the source lists no tags, or none that the tag policy admits."""
    if found or failed or not listing.complete:
        return ()
    if not listing.names:
        return () if request.known else (f"{request.source} lists no tags",)
    include = ", ".join(request.rules.include)
    return (
        f"none of the {len(listing.names)} tags of {request.source} is admitted by tags (include:"
        f" {include}): check the patterns in mirrors.yaml",
    )


async def read_tags(source: Repository, names: Iterable[str]) -> dict[str, Head]:
    """What tags of the source point at, by HEAD, and by GET where HEAD says that they are absent.

    None only where both answer 404. Some registries answer 404 to HEAD of what GET has.
    """
    return dict(await asyncio.gather(*(_read_tag(source, name) for name in names)))


async def _read_tag(source: Repository, name: str) -> tuple[str, Head]:
    try:
        head = await source.head_manifest(name)
        if head is not None:
            return name, head.digest
        return name, (await source.get_manifest(name)).digest
    except NotFound:
        return name, None
    except RegistryError as error:
        return name, error


async def _resolve(
    request: DiscoverRequest,
    listing: _Listing,
    names: set[str],
    prefetch: Prefetch,
    found: list[SourceTag],
    failed: list[TagFailure],
) -> None:
    """Add to found each name with its digest: from the record where that suffices, else by HEAD."""
    asked: list[str] = []
    unreadable: list[str] = []
    for name in sorted(names):
        if tag := _unchanged(request, listing, name):
            found.append(tag)
        else:
            asked.append(name)
    _start_heads(request, prefetch, asked)
    for name, digest in (await prefetch.source_heads.of(asked)).items():
        if isinstance(digest, RegistryError):
            failed.append(TagFailure(name, Reason(digest.reason), str(digest)))
        elif digest is not None:
            found.append(_source_tag(name, digest, listing.hints.get(name)))
        else:
            unreadable.append(name)
    for name, digest in (await read_tags(request.source, unreadable)).items():
        if isinstance(digest, str):
            found.append(_source_tag(name, digest, listing.hints.get(name)))
        else:
            failed.append(_unreadable(request, name, digest))


def _unreadable(request: DiscoverRequest, name: str, error: RegistryError | None) -> TagFailure:
    """A tag that is listed and cannot be read has failed; it was not deleted."""
    if error is not None:
        return TagFailure(name, Reason(error.reason), str(error))
    message = f"{request.source}:{name} is listed by the source, which answers 404 for it"
    return TagFailure(name, Reason.NOT_FOUND, message)


async def _list(request: DiscoverRequest, prefetch: Prefetch) -> _Listing:
    listing = _Listing()
    if request.hub is None:
        listing.names.update(await prefetch.names())
        listing.complete = True
        return listing

    async def by_hub() -> _Listing:
        await _list_by_hub(request, prefetch, listing)
        listing.by_hub = True
        return listing

    async def by_registry() -> _Listing:
        listing.names.update(await prefetch.names())
        listing.complete = True
        return listing

    return await request.source.registry.prefer(OptionalRequest.HUB_API, by_hub, by_registry)


async def _list_by_hub(request: DiscoverRequest, prefetch: Prefetch, listing: _Listing) -> None:
    if request.compares:
        names = await gather_both(prefetch.names(), _pages(request, prefetch, listing))
        listing.names.update(names)  # the web API may miss tags
        listing.complete = True
    else:
        await _pages(request, prefetch, listing)


async def _pages(request: DiscoverRequest, prefetch: Prefetch, listing: _Listing) -> None:
    async for page in prefetch.pages():
        listing.odd += page.odd
        for tag in page.tags:
            listing.names.add(tag.name)
            listing.hints[tag.name] = tag
        if request.rules.newest is None:  # else it takes the whole list to know which are wanted
            shown = (tag.name for tag in page.tags if _admits(request, tag.name))
            unknown = (name for name in shown if not _unchanged(request, listing, name))
            _start_heads(request, prefetch, unknown)
        if request.watching or (not request.compares and _ends_the_news(request, page)):
            return


def _start_heads(request: DiscoverRequest, prefetch: Prefetch, names: Iterable[str]) -> None:
    for name in names:
        prefetch.source_heads.start([name], new=name not in request.known)


def _ends_the_news(request: DiscoverRequest, page: HubPage) -> bool:
    """True if what the page ends with is all known: the pages after it are older still."""
    return not any(_is_news(request.known.get(tag.name), tag) for tag in page.tags[-_OLD_NEWS:])


def _is_news(known: KnownTag | None, hint: HubTag) -> bool:
    """True if the web API shows something that the record does not have.

    The digest may be null there; the push time then decides.
    """
    if known is None or known.gone_at is not None:
        return True
    if hint.digest is not None and hint.digest != known.source_digest:
        return True
    return hint.pushed_at is not None and hint.pushed_at != known.pushed_at


def _admitted(request: DiscoverRequest, listing: _Listing) -> set[str]:
    """The names that the policy lets through; companions by themselves only where it is `*`."""
    admitted = {name for name in listing.names if _admits(request, name)}
    if request.rules.newest is None:
        return admitted
    times = {name: known.pushed_at or known.detected_at for name, known in request.known.items()}
    times.update({name: hint.pushed_at for name, hint in listing.hints.items() if hint.pushed_at})
    pool = (
        admitted if listing.complete else admitted | {n for n in times if request.rules.admits(n)}
    )
    companions = {name for name in admitted if subject_of(name)}
    return admitted & (request.rules.newest_of((n, times.get(n)) for n in pool) | companions)


def _admits(request: DiscoverRequest, name: str) -> bool:
    return request.rules.admits(name) and (request.rules.admits_all or not subject_of(name))


async def _companions_of(
    request: DiscoverRequest,
    listing: _Listing,
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


def _unchanged(request: DiscoverRequest, listing: _Listing, name: str) -> SourceTag | None:
    """The tag as recorded, if the web API's word for it suffices."""
    hint, known = listing.hints.get(name), request.known.get(name)
    if request.compares or hint is None or known is None or known.source_digest is None:
        return None
    if _is_news(known, hint):
        return None
    return _source_tag(name, known.source_digest, hint)


def _source_tag(name: str, digest: str, hint: HubTag | None) -> SourceTag:
    if hint is None:
        return SourceTag(name, digest)
    # A push time that belongs to another digest than the registry's would give a wrong delay.
    pushed_at: datetime | None = hint.pushed_at
    if hint.digest is not None and hint.digest != digest:
        pushed_at = None
    return SourceTag(name, digest, pushed_at, hint.size, hint.platforms)


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
