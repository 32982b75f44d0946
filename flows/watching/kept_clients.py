"""Registry clients of the watch that stay open from look to look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from flows.orchestration import load_secret
from mirror.config import MirrorSettings, Settings
from mirror.sync import MirrorClients, open_clients


@dataclass
class KeptClients:
    """Registry clients that stay open from look to look, by source."""

    settings: Settings
    _kept: dict[str, tuple[AsyncExitStack, MirrorClients]] = field(default_factory=dict)

    async def __aenter__(self) -> KeptClients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stack, _clients in self._kept.values():
            await stack.aclose()
        self._kept.clear()

    @asynccontextmanager
    async def open(self, mirror: MirrorSettings) -> AsyncIterator[MirrorClients]:
        """The clients of a mirror's source, opened at the first look."""
        if mirror.source not in self._kept:
            stack = AsyncExitStack()
            opened = open_clients(self.settings, mirror, secrets=load_secret)
            self._kept[mirror.source] = (stack, await stack.enter_async_context(opened))
        yield self._kept[mirror.source][1]

    async def close(self, mirror: MirrorSettings) -> None:
        """Open new ones at the next look: connections and credentials may be the trouble."""
        if kept := self._kept.pop(mirror.source, None):
            await kept[0].aclose()
