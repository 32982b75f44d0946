"""Verification: what anybody would get from the target, read on separate connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from itertools import chain
from typing import TypeVar

from mirror.concurrency import SingleFlight, gather_all, gather_both
from mirror.outcome import Change, CopyOutcome, Reason, TagFailure, Verification, utcnow
from mirror.registry import Descriptor, Manifest, RegistryError, Repository, is_foreign_layer
from mirror.sync.copying import until_visible
from mirror.sync.step import StepTimer

T = TypeVar("T")


class Verifier:
    """Checks tags of one target repository, for one run."""

    def __init__(
        self,
        target: Repository,
        put: Callable[[str], Manifest | None] = lambda _: None,
        sure: Container[str] = (),
    ) -> None:
        """`target` belongs to a registry client that the copy does not use.

        `put` returns by digest the manifests that were put: what they name is then requested in
        the same round trip as the manifests themselves. `sure` are blobs that this run uploaded or
        read, for which a HEAD is enough; of any other a byte is read, of small ones all.
        """
        self._target = target
        self._put = put
        self._sure = sure
        self._lost: dict[str, None] = {}
        self._manifests: SingleFlight[str, None] = SingleFlight()
        self._seen_below: SingleFlight[str, None] = SingleFlight()
        self._blobs: SingleFlight[str, None] = SingleFlight()

    async def verify(self, copied: CopyOutcome) -> Verification:
        """Check that the tag resolves to what was meant and that all it names is there.

        The manifests' bytes are checked against their digests, the blobs' sizes by HEAD, or by
        reading them; what was seen once is not asked for again in the run. A failure is in the
        value, not raised, with the blobs that could not be read.
        """
        change = copied.change
        failure: TagFailure | None = None
        try:
            failure = await self._tag(change, copied.target_digest or change.digest)
        except _Incomplete as error:
            failure = TagFailure(change.tag, error.reason, str(error))
        except RegistryError as error:
            failure = TagFailure(change.tag, Reason(error.reason), f"verification: {error}")
        lost = tuple(self._lost) if failure is not None else ()
        return Verification(change, utcnow(), failure, lost)

    async def _tag(self, change: Change, digest: str) -> TagFailure | None:
        manifest = await gather_both(
            self._eventually(
                lambda: self._target.get_manifest(change.target_tag),
                digest,
                lambda manifest: manifest.digest == digest,
            ),
            self._foreseen(digest),
        )
        if manifest.digest != digest:
            return TagFailure(
                change.tag,
                Reason.DIGEST_MISMATCH,
                f"verification: {self._where(change.target_tag)} is {manifest.digest} where"
                f" {digest} was put: does something else write to this tag?",
            )
        await self._contents(manifest)
        return None

    async def _eventually(
        self,
        read: Callable[[], Awaitable[T]],
        written: str,
        shows: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """What is read, repeated for some seconds if this run has put the manifest `written`."""
        sleep = self._target.registry.clock.sleep
        return await until_visible(read, lambda: self._put(written) is not None, sleep, shows)

    async def _manifest(self, child: Descriptor) -> None:
        async def fetch() -> None:
            manifest = await gather_both(
                self._eventually(lambda: self._target.get_manifest(child.digest), child.digest),
                self._foreseen(child.digest),
            )
            if len(manifest.raw) != child.size:
                raise _Incomplete(
                    Reason.DIGEST_MISMATCH,
                    f"verification: {self._where(child.digest)} has {len(manifest.raw)} bytes"
                    f" where its index says {child.size}",
                )
            await self._contents(manifest)

        await self._manifests.do(child.digest, fetch)

    async def _foreseen(self, digest: str) -> None:
        """Look already for what a manifest names that was put."""
        if manifest := self._put(digest):
            await self._contents(manifest)

    async def _contents(self, manifest: Manifest) -> None:
        await self._seen_below.do(manifest.digest, lambda: self._below(manifest))

    async def _below(self, manifest: Manifest) -> None:
        await gather_all(
            chain(
                (self._manifest(child) for child in manifest.children),
                (
                    self._blob(blob, manifest.digest)
                    for blob in manifest.blobs
                    if not is_foreign_layer(blob.media_type)
                ),
            )
        )

    async def _blob(self, blob: Descriptor, manifest: str) -> None:
        async def read() -> int | None:
            if blob.digest in self._sure:
                return await self._target.head_blob(blob.digest, blob.size, sure=True)
            return await self._target.touch_blob(blob)

        async def look() -> None:
            try:
                size = await self._eventually(read, manifest, lambda size: size is not None)
            except RegistryError:
                self._lost[blob.digest] = None
                raise
            if size != blob.size:
                self._lost[blob.digest] = None
            if size is None:
                raise _Incomplete(
                    Reason.NOT_FOUND,
                    f"verification: blob {self._where(blob.digest)} is missing",
                )
            if size != blob.size:
                raise _Incomplete(
                    Reason.DIGEST_MISMATCH,
                    f"verification: blob {self._where(blob.digest)} has {size} bytes"
                    f" where its manifest says {blob.size}",
                )

        await self._blobs.do(blob.digest, look)

    def _where(self, reference: str) -> str:
        separator = "@" if ":" in reference else ":"
        return f"{self._target}{separator}{reference}"


class _Incomplete(Exception):
    """The target does not hold what it should."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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
        self._stopped = False

    async def submit(self, copied: CopyOutcome) -> Verification:
        """Submit a copied tag and wait for the result of its verification.

        Raises CancelledError once the queue has stopped.
        """
        future: asyncio.Future[Verification] = asyncio.get_running_loop().create_future()
        if self._stopped:
            future.cancel()
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

    def stop(self) -> None:
        """Let nobody wait for a verification, now or later: none will be made."""
        self._stopped = True
        for future in self._waiting:
            future.cancel()

    async def run(self) -> int:
        """Verify what is submitted, all at once, until the queue is closed; how many there were."""
        count = 0
        try:
            async with asyncio.TaskGroup() as group:
                while (item := await self._queue.get()) is not None:
                    count += 1
                    group.create_task(self._verify(*item))
        finally:
            self.stop()
        return count

    async def _verify(self, copied: CopyOutcome, future: asyncio.Future[Verification]) -> None:
        verification = await self._verifier.verify(copied)
        if not future.done():
            future.set_result(verification)
