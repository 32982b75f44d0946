"""The registry clients of one mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mirror.config import (
    MirrorSettings,
    SecretLoader,
    Settings,
    anonymous,
    endpoint,
    require,
)
from mirror.errors import ConfigError
from mirror.registry import Endpoint, HubApi, Reference, Registry, Repository


@dataclass(frozen=True)
class MirrorClients:
    """The two repositories of a mirror, each by its own clients."""

    source: Repository
    target: Repository
    verifier: Repository
    """The target once more, on its own connections."""
    anonymous: Repository
    """The target without a credential."""
    hub: HubApi | None
    require_credentials: Callable[[], None] = lambda: None
    """Checks that the credentials that mirrors.yaml names exist. Blocks; raises ConfigError."""

    async def have_credentials(self) -> bool:
        """True if every credential that mirrors.yaml names for the mirror exists."""
        try:
            await asyncio.to_thread(self.require_credentials)
        except ConfigError:
            return False
        return True

    @property
    def source_requests(self) -> int:
        """HTTP requests sent to the source, its web API included."""
        return self.source.registry.requests

    @property
    def target_requests(self) -> int:
        """HTTP requests sent to the target."""
        clients = (self.target.registry, self.verifier.registry, self.anonymous.registry)
        return sum(client.requests for client in clients)


@asynccontextmanager
async def open_clients(
    settings: Settings, mirror: MirrorSettings, secrets: SecretLoader | None = None
) -> AsyncIterator[MirrorClients]:
    """Clients for a mirror's source and target by mirrors.yaml. Sends nothing yet.

    `secrets` loads Prefect Secret blocks by name; without it they cannot be used.
    """

    def require_credentials() -> None:
        for side in (mirror.source, mirror.target):
            require(settings, side, secrets)

    source, target = Reference.parse(mirror.source), Reference.parse(mirror.target)
    async with connect(
        mirror,
        endpoint(settings, source.registry, secrets),
        endpoint(settings, target.registry, secrets),
        anonymous(settings, target.registry),
        require_credentials,
    ) as clients:
        yield clients


@asynccontextmanager
async def connect(
    mirror: MirrorSettings,
    source: Endpoint,
    target: Endpoint,
    outside: Endpoint,
    require_credentials: Callable[[], None] = lambda: None,
) -> AsyncIterator[MirrorClients]:
    """Clients for a mirror at the given endpoints; `outside` is the target without a credential."""
    source_name = Reference.parse(mirror.source).repository
    target_name = Reference.parse(mirror.target).repository
    async with AsyncExitStack() as stack:
        at_source = await stack.enter_async_context(Registry(source))
        at_target = await stack.enter_async_context(Registry(target))
        verifier = await stack.enter_async_context(Registry(target, auth_from=at_target))
        public = await stack.enter_async_context(Registry(outside))
        yield MirrorClients(
            source=at_source.repository(source_name),
            target=at_target.repository(target_name),
            verifier=verifier.repository(target_name),
            anonymous=public.repository(target_name),
            hub=HubApi(at_source) if source.hub_api else None,
            require_credentials=require_credentials,
        )
