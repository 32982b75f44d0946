"""The order in which tags are written: exact releases before floating tags of one digest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from mirror.outcome import Change


class TagOrder:
    """Which tags of a run have arrived, so that floating tags wait for their exact release."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._arrived: dict[str, asyncio.Future[bool]] = {
            change.tag: asyncio.get_running_loop().create_future() for change in changes
        }
        self._lead = changes[0].tag if changes else None
        self._started = asyncio.Event()

    async def wait_for(self, change: Change) -> bool:
        """Wait for the tags that go before this one; True if all of them arrived.

        The first tag of a run leads until its copy has started: its bytes flow while the steps of
        the others are set up.
        """
        waits: list[Awaitable[bool]] = [
            asyncio.shield(self._arrived[tag]) for tag in change.waits_for if tag in self._arrived
        ]
        if not all(await asyncio.gather(*waits)):
            return False
        if change.tag != self._lead:
            await self._started.wait()
        return True

    def start(self) -> None:
        """Report that a copy has started."""
        self._started.set()

    def finish(self, tag: str, *, arrived: bool) -> None:
        """Report how a tag ended."""
        self._started.set()
        future = self._arrived[tag]
        if not future.done():
            future.set_result(arrived)
