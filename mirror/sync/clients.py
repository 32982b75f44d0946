"""The registry clients of one mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from mirror.config import (
    CosignKey,
    MirrorSettings,
    SecretLoader,
    Settings,
    anonymous,
    endpoint,
    load_cosign_keys,
    require,
)
from mirror.errors import ConfigError
from mirror.registry import (
    Endpoint,
    HubApi,
    Limits,
    Reference,
    Registry,
    Repository,
    RunBudget,
    SharedTurns,
)
from mirror.sync.copying import SharedTransfers


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
    budget: RunBudget = field(default_factory=RunBudget)
    """What the run that uses them has left."""
    require_credentials: Callable[[], None] = lambda: None
    """Checks that the credentials that mirrors.yaml names exist. Blocks; raises ConfigError."""
    load_keys: Callable[[], tuple[CosignKey, ...]] = tuple
    """Loads the keys by which images must be signed. Blocks; raises CosignKeyError."""

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
    settings: Settings,
    mirror: MirrorSettings,
    secrets: SecretLoader | None = None,
    shared: SharedTransfers | None = None,
) -> AsyncIterator[MirrorClients]:
    """Clients for a mirror's source and target by mirrors.yaml. Sends nothing yet.

    `secrets` loads Prefect Secret blocks by name; without it they cannot be used. By `shared`,
    mirrors of one source read it once, and mirrors of one registry share its limits.
    """

    def require_credentials() -> None:
        for side in (mirror.source, mirror.target):
            require(settings, side, secrets)

    source, target = Reference.parse(mirror.source), Reference.parse(mirror.target)
    siblings = sum(other.source == mirror.source for other in settings.mirrors.values())
    async with connect(
        mirror,
        endpoint(settings, source.registry, secrets),
        endpoint(settings, target.registry, secrets),
        anonymous(settings, target.registry),
        require_credentials,
        settings.limits_of(mirror).registry_limits(),
        shared if siblings > 1 else None,
        lambda: load_cosign_keys(settings.path, mirror),
        shared.turns if shared else None,
    ) as clients:
        yield clients


@asynccontextmanager
async def connect(
    mirror: MirrorSettings,
    source: Endpoint,
    target: Endpoint,
    outside: Endpoint,
    require_credentials: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
    shared: SharedTransfers | None = None,
    load_keys: Callable[[], tuple[CosignKey, ...]] = tuple,
    turns: SharedTurns | None = None,
) -> AsyncIterator[MirrorClients]:
    """Clients for a mirror at the given endpoints; `outside` is the target without a credential."""
    source_name = Reference.parse(mirror.source).repository
    target_name = Reference.parse(mirror.target).repository
    async with AsyncExitStack() as stack:
        budget = RunBudget(limits)
        turn = (turns or SharedTurns()).of
        at_source = await stack.enter_async_context(
            Registry(source, budget=budget, turns=turn(source, "source"))
        )
        reading = shared.source(at_source, source_name) if shared else nullcontext(None)
        shared_source = stack.enter_context(reading)
        writing = Registry(target, budget=budget, counts=False, turns=turn(target, "target"))
        at_target = await stack.enter_async_context(writing)
        again = Registry(
            target,
            auth_from=at_target,
            budget=budget,
            counts=False,
            turns=turn(target, "verification"),
        )
        verifier = await stack.enter_async_context(again)
        unknown = Registry(outside, budget=budget, counts=False, turns=turn(outside, "anonymous"))
        public = await stack.enter_async_context(unknown)
        yield MirrorClients(
            source=shared_source or at_source.repository(source_name),
            target=at_target.repository(target_name),
            verifier=verifier.repository(target_name),
            anonymous=public.repository(target_name),
            hub=HubApi(at_source) if source.hub_api else None,
            budget=budget,
            require_credentials=require_credentials,
            load_keys=load_keys,
        )
