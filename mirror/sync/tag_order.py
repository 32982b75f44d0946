"""The order in which tags land: exact releases before the floating tags that point at them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from mirror.outcome import Change


class Landings:
    """Which tags of a run have landed, so that floating tags can wait for their exact release."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._landed: dict[str, asyncio.Future[bool]] = {
            change.tag: asyncio.get_running_loop().create_future() for change in changes
        }

    async def all_landed(self, tags: tuple[str, ...]) -> bool:
        """Wait until each of the tags has ended; True if all of them arrived."""
        waits: list[Awaitable[bool]] = [
            asyncio.shield(self._landed[tag]) for tag in tags if tag in self._landed
        ]
        return all(await asyncio.gather(*waits))

    def ended(self, tag: str, *, arrived: bool) -> None:
        """Say how a tag ended."""
        future = self._landed[tag]
        if not future.done():
            future.set_result(arrived)
