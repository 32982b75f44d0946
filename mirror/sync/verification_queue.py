"""Verification of tags as they are copied, by one task for all of them."""

from __future__ import annotations

import asyncio

from mirror.outcome import CopyOutcome, Verification
from mirror.sync.verify import Verifier


class VerificationDesk:
    """Where copied tags are handed in and their verification is waited for.

    One Prefect task serves it, so that a tag is verified, and so available, as soon as it is
    copied, while the number of task runs does not grow with a second one for every tag.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._queue: asyncio.Queue[tuple[CopyOutcome, asyncio.Future[Verification]] | None] = (
            asyncio.Queue()
        )
        self._waiting: set[asyncio.Future[Verification]] = set()

    async def verified(self, copied: CopyOutcome) -> Verification:
        """Hand in a copied tag and wait for what its verification saw."""
        future: asyncio.Future[Verification] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await self._queue.put((copied, future))
            return await future
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """No more tags will be handed in."""
        self._queue.put_nowait(None)

    async def serve(self) -> int:
        """Verify what is handed in, all at once, until the desk is closed; how many there were."""
        count = 0
        try:
            async with asyncio.TaskGroup() as group:
                while (item := await self._queue.get()) is not None:
                    count += 1
                    group.create_task(self._one(*item))
        finally:
            # Whoever still waits must not wait for ever if this ended early.
            for future in self._waiting:
                future.cancel()
        return count

    async def _one(self, copied: CopyOutcome, future: asyncio.Future[Verification]) -> None:
        verification = await self._verifier.verify(copied)
        if not future.done():
            future.set_result(verification)
