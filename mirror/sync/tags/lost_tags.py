"""Known tags that a look at the source did not find: which of them are gone, and which looks lie.

A source that is misread is not an empty source. What it lists is compared with what it listed
before: a look that loses more than `delete_share` of the known tags, or all of them, is suspicious,
and nothing is marked as gone on its word. The share counts over the grace period, so that many
small losses are one large one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mirror.concurrency import bare, gather_all
from mirror.outcome import KnownTag, SourceTag, utcnow
from mirror.registry import NotFound, RegistryError, Repository
from mirror.sync.tags.listing import DiscoverRequest, Listing, admits, source_tag
from mirror.sync.tags.prefetch import Head, Prefetch
from mirror.sync.tags.tag_rules import TagRules, subject_of
from mirror.units import format_count

GRACE = timedelta(days=1)
"""Between the two looks, at least, that must miss a tag before it is deleted at a target."""


@dataclass(frozen=True)
class LostTags:
    """What a complete list of the source lacks."""

    names: tuple[str, ...]
    """Known tags that it lacks now and did not lack before."""
    before: int
    """Tags lost earlier in the grace period."""
    known: int
    """Tags known at the beginning of the grace period, or since."""
    share: float

    @property
    def suspicious(self) -> bool:
        """True if more is lost than a source is believed to lose."""
        lost = len(self.names) + self.before
        return bool(self.names) and (lost > self.share * self.known or lost == self.known)

    def describe(self, repository: str, mirror: str) -> str:
        """One line that says what was lost and how a person accepts it."""
        also = f", {self.before} more within the grace period" if self.before else ""
        return (
            f"{repository} no longer lists {len(self.names)} of {self.known} known tags{also}"
            f" ({_named(self.names)}): suspicious, so nothing was marked as gone or deleted;"
            f" if they were deleted on purpose, run: mirror sync {mirror} --full --accept-loss"
        )


def find_lost_tags(
    listed: Collection[str], known: Mapping[str, KnownTag], rules: TagRules, now: datetime
) -> LostTags:
    """The known tags that a complete list lacks, and what it takes to judge the list."""
    since = now - max(rules.delete_after or GRACE, GRACE)
    recent = {
        name: tag for name, tag in known.items() if tag.gone_at is None or tag.gone_at > since
    }
    missing = {name: tag for name, tag in recent.items() if name not in listed}
    lost = sorted(name for name, tag in missing.items() if tag.gone_at is None)
    before = len(missing) - len(lost)
    return LostTags(tuple(lost), before, len(recent), rules.delete_share)


def _named(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


@dataclass(frozen=True)
class Settled:
    """What is to be said of known tags that the list lacks."""

    suspicion: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unlisted:
    """Known tags that the list lacks, as they were read one by one."""

    heads: Mapping[str, Head] = field(default_factory=dict)
    suspicion: str | None = None


async def look_again(request: DiscoverRequest, listing: Listing, prefetch: Prefetch) -> Unlisted:
    """Read the known tags that a complete list lacks, and the list again if it lied.

    A list that lacks a tag which is there was cut or filtered. It is read again, twice at most,
    until it holds them and all that it held before; what each adds is added to the listing.
    """
    if not listing.complete or request.watching:
        return Unlisted()
    lost = find_lost_tags(listing.names, request.known, request.rules, utcnow())
    if not lost.names or (lost.suspicious and not request.accept_loss):
        return Unlisted()
    heads = await read_tags(request.source, lost.names)
    there = {name for name, head in heads.items() if isinstance(head, str)}
    if not there:
        return Unlisted(heads)
    listed = set(await prefetch.names())
    for _ in range(2):
        try:
            again = set(await request.source.tags())
        except RegistryError as error:
            return Unlisted(heads, f"the tag list lacks tags that are there, and then: {error}")
        listed |= again
        listing.names |= again
        if again == listed and there <= again:
            return Unlisted(heads)
    if again == listed:
        return Unlisted(heads, _never_listed(request, there))
    suspicion = f"{request.source} lists other tags each time: nothing was marked as gone"
    return Unlisted(heads, suspicion)


def _never_listed(request: DiscoverRequest, there: Collection[str]) -> str | None:
    """What a list means that always lacks tags which are there; None where a person knows of it.

    One that is cut in the same place each time shows no new tag behind it. Some registries hide
    companions, such as signatures, on purpose.
    """
    hidden = tuple(sorted(n for n in there if request.rules.admits(n) and not subject_of(n)))
    if not hidden or request.accept_loss:
        return None
    return (
        f"{request.source} never lists {format_count(len(hidden), 'tag')} that it has"
        f" ({_named(hidden)}): its tag list is cut or filtered, so new tags may be missing; if it"
        " hides some on purpose, exclude them (tags.exclude)"
    )


def settle_lost(
    request: DiscoverRequest, listing: Listing, unlisted: Unlisted, found: list[SourceTag]
) -> Settled:
    """Find out which of the known tags that a complete list lacks are gone.

    A tag is gone only if the source answers 404 for it, by HEAD and by GET. Those that are there
    all the same are found; those that cannot be read stay as they are known.
    """
    if not listing.complete:
        return Settled()
    lost = find_lost_tags(listing.names, request.known, request.rules, utcnow())
    if lost.suspicious and not request.accept_loss:
        where = str(request.source)
        return Settled(suspicion=lost.describe(where, request.mirror))
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
            if admits(request, name):
                found.append(source_tag(name, head, None))
    return Settled(unlisted.suspicion, tuple(warnings))


async def read_tags(source: Repository, names: Iterable[str]) -> dict[str, Head]:
    """What tags of the source point at, by HEAD, and by GET where HEAD says that they are absent.

    None only where both answer 404. Some registries answer 404 to HEAD of what GET has.
    """
    return dict(await gather_all(_read_tag(source, name) for name in names))


async def _read_tag(source: Repository, name: str) -> tuple[str, Head]:
    try:
        head = await source.head_manifest(name)
        if head is not None:
            return name, head.digest
        return name, (await source.get_manifest(name)).digest
    except NotFound:
        return name, None
    except RegistryError as error:
        return name, bare(error)
