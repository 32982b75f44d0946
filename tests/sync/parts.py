"""Parts of a sync for tests of one step: a repository, a change, the requests that were sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from mirror.outcome import Change, ChangeKind, CopyOutcome, KnownTag
from mirror.registry import Registry, Repository
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry
from tests.sync.core import TARGET, endpoint_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def repository_at(
    registry: FakeRegistry | DockerRegistry, name: str = TARGET
) -> AsyncIterator[Repository]:
    """A repository of a registry, by its own client."""
    async with Registry(endpoint_of(registry)) as client:
        yield client.repository(name)


def digest(number: int) -> str:
    """A digest, the same for the same number."""
    return f"sha256:{number:064x}"


def change(
    tag: str,
    digest: str,
    kind: ChangeKind = ChangeKind.NEW,
    *,
    previous: str | None = None,
    waits_for: tuple[str, ...] = (),
) -> Change:
    """A tag that has to be copied."""
    return Change(tag, tag, kind, digest, None, NOON, previous, waits_for=waits_for)


def copied(tag: str, digest: str) -> CopyOutcome:
    """A tag that was copied as it is."""
    return CopyOutcome(change(tag, digest), NOON, NOON, target_digest=digest)


def known(tag: str, digest: str, target_digest: str | None = None) -> KnownTag:
    """A tag that was copied before."""
    return KnownTag(tag, digest, digest, target_digest or digest)


def requests(registry: FakeRegistry, *methods: str) -> list[str]:
    """The requests that a registry received, as "METHOD path" below the repository."""
    return [
        f"{one.method} {'/'.join(one.path.split('/')[4:])}"
        for one in registry.exchanges
        if not methods or one.method in methods
    ]
