"""The registry clients of one run, opened from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flows.orchestration import load_secret
from mirror.config import MirrorSettings, Settings, anonymous, endpoint
from mirror.registry import HubApi, Reference, Registry, Repository
from mirror.sync.bandwidth import Cap, Pace
from mirror.sync.image_rules import ImageRules
from mirror.sync.tag_rules import TagRules


@dataclass(frozen=True)
class Sides:
    """The two repositories of a mirror, each with clients of its own."""

    source: Repository
    target: Repository
    check: Repository  # the target once more, on connections of its own
    stranger: Repository  # the target without a credential
    hub: HubApi | None

    @property
    def source_requests(self) -> int:
        """HTTP requests sent to the source, its web API included."""
        return self.source.registry.requests

    @property
    def target_requests(self) -> int:
        """HTTP requests sent to the target."""
        clients = (self.target.registry, self.check.registry, self.stranger.registry)
        return sum(client.requests for client in clients)


@asynccontextmanager
async def open_sides(settings: Settings, mirror: MirrorSettings) -> AsyncIterator[Sides]:
    """Clients for a mirror's source and target. Nothing is sent before it is needed."""
    source, target = Reference.parse(mirror.source), Reference.parse(mirror.target)
    async with AsyncExitStack() as stack:
        at_source = endpoint(settings, source.registry, load_secret)
        at_target = endpoint(settings, target.registry, load_secret)
        origin = await stack.enter_async_context(Registry(at_source))
        mirror_of_it = await stack.enter_async_context(Registry(at_target))
        check = await stack.enter_async_context(Registry(at_target, auth_from=mirror_of_it))
        outside = anonymous(settings, target.registry)
        stranger = await stack.enter_async_context(Registry(outside))
        yield Sides(
            source=origin.repository(source.repository),
            target=mirror_of_it.repository(target.repository),
            check=check.repository(target.repository),
            stranger=stranger.repository(target.repository),
            hub=HubApi(origin) if at_source.hub_api else None,
        )


def tag_rules_of(mirror: MirrorSettings) -> TagRules:
    """The tag strategy as the steps take it."""
    tags = mirror.tags
    return TagRules(
        include=tags.include,
        exclude=tags.exclude,
        semver=tags.semver,
        newest=tags.newest,
        immutable=tags.immutable,
        rename=tags.rename,
        backup=tags.backup,
        delete_after=tags.delete_after,
        delete_share=tags.delete_share,
        companions=mirror.referrers,
    )


def image_rules_of(mirror: MirrorSettings) -> ImageRules:
    """What of an image is mirrored, as the steps take it."""
    platforms = None if mirror.platforms == "all" else tuple(mirror.platforms)
    return ImageRules(platforms=platforms, attestations=mirror.attestations == "keep")


def pace(mirror: MirrorSettings) -> Pace | None:
    """The mirror's cap on bytes a second, if it has one."""
    limit = mirror.rate_limit
    if limit is None:
        return None
    return Pace(Cap(limit.rate, limit.begin, limit.end, ZoneInfo(limit.timezone)))
