"""A blob that several copies read while it arrives once.

What came last is in memory, all of it in a file without a name, which is gone with the process
however that ends. The copy that first lacks bytes fetches them by its own client; if it ends, the
next one that lacks bytes goes on from there. The copy that is furthest sets the pace, as if it read
the source itself, so a copy that is slow or stands still holds back none, and reads its part from
the file.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from mirror.registry import OpenBlob

T = TypeVar("T")
_BATCH: Final = 1 << 20  # bytes written or read at once
Pieces = AsyncGenerator[bytes, None]


@dataclass(slots=True, eq=False)
class _Reader:
    position: int


class BlobSpool:
    """The bytes of one blob so far. They are not verified: each copy does that for itself."""

    def __init__(self, folder: Path, size: int) -> None:
        """Raises OSError where the folder takes no file."""
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed in drop
        self._size = size
        self._tail: deque[tuple[int, bytes]] = deque()  # offset and piece, ends at _arrived
        self._arrived = 0
        self._stored = 0
        self._readers: set[_Reader] = set()
        self._fetch: asyncio.Task[None] | None = None
        self._on_disk: set[asyncio.Future[Any]] = set()  # what threads do with the file
        self._news = asyncio.Event()
        self._dropped = False
        self.failed: OSError | None = None
        """Why the file cannot be used; every copy then reads the source itself."""

    @property
    def idle(self) -> bool:
        """True if no copy reads it."""
        return not self._readers

    def drop(self) -> None:
        """Give the space back once no copy reads it any more."""
        self._dropped = True
        if self.idle and not self._on_disk:
            self._file.close()

    async def read(self, blob: OpenBlob, start: int, end: int) -> Pieces:
        """The bytes [start, end); those that nobody has fetched yet by way of `blob`.

        Raises RegistryError where `blob` does; other copies are not concerned.
        """
        reader = _Reader(start)
        mine: asyncio.Task[None] | None = None
        self._readers.add(reader)
        try:
            while reader.position < end and self.failed is None:
                if piece := await self._piece(reader.position, end):
                    yield piece
                    reader.position += len(piece)  # only now it wants more
                    self._tell()
                elif self.failed is None:
                    if mine is not None and mine.done():
                        mine.result()
                    if self._fetch is None or self._fetch.done():
                        mine = self._fetch = asyncio.create_task(self._fetch_rest(blob))
                    await self._news.wait()
        finally:
            self._readers.discard(reader)
            if mine is not None:
                mine.cancel()
                await asyncio.gather(mine, return_exceptions=True)
            self._tell()
            if self._dropped:
                self.drop()
        if reader.position < end:
            async with aclosing(blob.read(reader.position, end)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _fetch_rest(self, blob: OpenBlob) -> None:
        try:
            async with aclosing(blob.read(self._arrived, self._size)) as pieces:
                async for piece in pieces:
                    self._tail.append((self._arrived, piece))
                    self._arrived += len(piece)
                    self._tell()
                    if self._arrived - self._stored >= _BATCH or self._arrived == self._size:
                        await self._store()
                    while self._arrived > self._furthest():
                        await self._news.wait()
                    if self.failed is not None:
                        return
        finally:
            self._tell()

    def _furthest(self) -> int:
        return max((reader.position for reader in self._readers), default=0)

    async def _piece(self, position: int, end: int) -> bytes:
        """Bytes from `position` on; none where they have not arrived."""
        if position >= self._arrived:
            return b""
        for offset, piece in reversed(self._tail):
            if offset <= position:
                return piece[position - offset : end - offset]
        length = min(end - position, self._stored - position, _BATCH)

        def read() -> bytes:
            if found := os.pread(self._file.fileno(), length, position):
                return found
            raise OSError(errno.EIO, "the file is shorter than what was written to it")

        return await self._in_thread(read, b"")

    async def _store(self) -> None:
        fresh = b"".join(piece for offset, piece in self._tail if offset >= self._stored)
        start = self._stored

        def write() -> int:
            written = 0
            while written < len(fresh):
                left = memoryview(fresh)[written:]
                written += os.pwrite(self._file.fileno(), left, start + written)
            return written

        self._stored += await self._in_thread(write, 0)
        while self._tail and self._tail[0][0] + len(self._tail[0][1]) <= self._arrived - _BATCH:
            self._tail.popleft()

    async def _in_thread(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` returns; on an OSError the spool has failed.

        The thread outlives a cancellation, and the file is not closed under it.
        """
        task = asyncio.ensure_future(asyncio.to_thread(work))
        self._on_disk.add(task)
        task.add_done_callback(self._left_disk)
        try:
            return await asyncio.shield(task)
        except OSError as error:
            self.failed = error
            self._tell()
            return otherwise

    def _left_disk(self, task: asyncio.Future[Any]) -> None:
        self._on_disk.discard(task)
        if self._dropped:
            self.drop()

    def _tell(self) -> None:
        """Wake all who wait for bytes or for room."""
        self._news.set()
        self._news = asyncio.Event()
