"""What the source lists: by Docker Hub's web API, newest first, or by tags/list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mirror.concurrency import gather_both
from mirror.outcome import KnownTag, SourceTag, TagFailure
from mirror.registry import HubApi, HubPage, HubTag, OptionalRequest, Repository
from mirror.sync.tags.prefetch import Prefetch
from mirror.sync.tags.tag_rules import TagRules, subject_of

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
class Listing:
    """Names seen at the source, and what the web API says of them."""

    names: set[str] = field(default_factory=set)
    hints: dict[str, HubTag] = field(default_factory=dict)
    complete: bool = False
    odd: list[str] = field(default_factory=list)
    by_hub: bool = False


async def list_source(request: DiscoverRequest, prefetch: Prefetch) -> Listing:
    """The names that the source lists; by Docker Hub's web API with what it says of each.

    Complete unless the web API was read only up to what is known. Raises RegistryError.
    """
    listing = Listing()
    if request.hub is None:
        listing.names.update(await prefetch.names())
        listing.complete = True
        return listing

    async def by_hub() -> Listing:
        await _list_by_hub(request, prefetch, listing)
        listing.by_hub = True
        return listing

    async def by_registry() -> Listing:
        listing.names.update(await prefetch.names())
        listing.complete = True
        return listing

    return await request.source.registry.prefer(OptionalRequest.HUB_API, by_hub, by_registry)


async def _list_by_hub(request: DiscoverRequest, prefetch: Prefetch, listing: Listing) -> None:
    if request.compares:
        names = await gather_both(prefetch.names(), _pages(request, prefetch, listing))
        listing.names.update(names)  # the web API may miss tags
        listing.complete = True
    else:
        await _pages(request, prefetch, listing)


async def _pages(request: DiscoverRequest, prefetch: Prefetch, listing: Listing) -> None:
    async for page in prefetch.pages():
        listing.odd += page.odd
        for tag in page.tags:
            listing.names.add(tag.name)
            listing.hints[tag.name] = tag
        if request.rules.newest is None:  # else it takes the whole list to know which are wanted
            shown = (tag.name for tag in page.tags if admits(request, tag.name))
            unknown = (name for name in shown if not unchanged(request, listing, name))
            start_heads(request, prefetch, unknown)
        if request.watching or (not request.compares and _ends_the_news(request, page)):
            return


def start_heads(request: DiscoverRequest, prefetch: Prefetch, names: Iterable[str]) -> None:
    """Start a HEAD for each name at the source; new ones will have their manifest read too."""
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


def admits(request: DiscoverRequest, name: str) -> bool:
    """Whether the policy names a tag; a companion (a signature, say) only where it names all."""
    return request.rules.admits(name) and (request.rules.admits_all or not subject_of(name))


def unchanged(request: DiscoverRequest, listing: Listing, name: str) -> SourceTag | None:
    """The tag as recorded, if the web API's word for it suffices."""
    hint, known = listing.hints.get(name), request.known.get(name)
    if request.compares or hint is None or known is None or known.source_digest is None:
        return None
    if _is_news(known, hint):
        return None
    return source_tag(name, known.source_digest, hint)


def source_tag(name: str, digest: str, hint: HubTag | None) -> SourceTag:
    """A tag of the source with what the web API says of it."""
    if hint is None:
        return SourceTag(name, digest)
    # A push time that belongs to another digest than the registry's would give a wrong delay.
    pushed_at: datetime | None = hint.pushed_at
    if hint.digest is not None and hint.digest != digest:
        pushed_at = None
    return SourceTag(name, digest, pushed_at, hint.size, hint.platforms)


def odd_names(request: DiscoverRequest, listing: Listing) -> tuple[str, ...]:
    """A warning where what the source lists is not all tags."""
    odd = list(dict.fromkeys((*listing.odd, *request.source.odd_tags)))
    if not odd:
        return ()
    named = ", ".join(odd[:3]) + (", …" if len(odd) > 3 else "")
    return (f"{request.source} lists {len(odd)} names that are no tags, left out: {named}",)


def unmatched(
    request: DiscoverRequest,
    listing: Listing,
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
