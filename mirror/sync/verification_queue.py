"""Verification of tags as they are copied, by one task for all of them."""

from __future__ import annotations

import asyncio

from mirror.outcome import CopyOutcome, Verification
from mirror.sync.step_timer import StepTimer
from mirror.sync.verify import Verifier


class VerificationQueue:
    """Where copied tags are submitted and their verification is awaited.

    One step runs it, so that a tag is verified, and so available, as soon as it is copied, while
    the number of steps does not grow with a second one for every tag.
    """

    def __init__(self, verifier: Verifier, timer: StepTimer) -> None:
        self._verifier = verifier
        self._timer = timer
        self._queue: asyncio.Queue[tuple[CopyOutcome, asyncio.Future[Verification]] | None] = (
            asyncio.Queue()
        )
        self._waiting: set[asyncio.Future[Verification]] = set()

    async def submit(self, copied: CopyOutcome) -> Verification:
        """Submit a copied tag and wait for the result of its verification."""
        future: asyncio.Future[Verification] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with self._timer.measure("verify"):
                await self._queue.put((copied, future))
                return await future
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """No more tags will be submitted."""
        self._queue.put_nowait(None)

    async def run(self) -> int:
        """Verify what is submitted, all at once, until the queue is closed; how many there were."""
        count = 0
        try:
            async with asyncio.TaskGroup() as group:
                while (item := await self._queue.get()) is not None:
                    count += 1
                    group.create_task(self._verify(*item))
        finally:
            # Those that still wait must not wait for ever if this ended early.
            for future in self._waiting:
                future.cancel()
        return count

    async def _verify(self, copied: CopyOutcome, future: asyncio.Future[Verification]) -> None:
        verification = await self._verifier.verify(copied)
        if not future.done():
            future.set_result(verification)
