"""Requests sent before their answers are needed, so that round trips overlap.

Whatever the history says, a sync begins with the source's list of tags; a tag that is new will have
its manifest read, and copies need connections. Each of these is started at a visible place of the
sync and awaited by the step that uses it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

from mirror.concurrency import AT_ONCE, bare
from mirror.registry import (
    Capabilities,
    HubApi,
    HubPage,
    Manifest,
    NotFound,
    OptionalRequest,
    RegistryError,
    Repository,
)
from mirror.sync.tags.image_rules import ImageRules, kept, unwanted

T = TypeVar("T")
Head = str | RegistryError | None
"""The digest of a tag, None where it is absent, the error where it cannot be read."""

MANIFESTS = 256
"""Manifests of tags read ahead at most: as many as are copied at once."""
_AHEAD = 1024  # manifests read ahead at most, those of children included
_LIST_CONNECTIONS = 16  # to the source at a first sync, which will find something to read
_FIRST_CONNECTIONS = 4  # to the target, while the first new tag is read
_COPY_CONNECTIONS = 16  # for the first blobs of the first tags
_VERIFY_CONNECTIONS = 8  # for the verification of one tag


class Prefetch:
    """Prefetched requests of one sync, cancelled when the context exits.

    Errors surface on await; those of requests that are never awaited are dropped.
    """

    def __init__(
        self,
        source: Repository,
        target: Repository,
        hub: HubApi | None = None,
        *,
        full: bool = False,
        images: ImageRules | None = None,
    ) -> None:
        """`full` reads the source's own list besides the web API's. With `images` the manifests
        of new tags are read as soon as their digests are known, and the children they keep."""
        self._source = source
        self._target = target
        self._full = full
        self._images = images
        self._pages = hub.pages(source.name) if hub else None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._first_page: asyncio.Task[HubPage | None] | None = None
        self._names: asyncio.Task[list[str]] | None = None
        self._target_is_empty: asyncio.Task[bool] | None = None
        self._expects_copies = False
        self._manifests: dict[str, asyncio.Future[Manifest]] = {}
        self.source_heads = ManifestHeads(source, self._start, self._read_tag, self._new_digest)
        self.target_heads = ManifestHeads(target, self._start)
        self.started_at: float | None = None
        """By time.perf_counter, when the listing was started."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start_listing(self) -> None:
        """Start to list the source; a second call does nothing."""
        if self.started_at is not None:
            return
        self.started_at = time.perf_counter()
        if self._pages is not None:
            self._first_page = self._start(_next(self._pages))
        if self._pages is None or self._full:
            self._names = self._start(self._source.tags())
        else:  # the registry itself is read where the web API has news
            self._start(self._source.registry.connect(1))

    def follow(self, capabilities: Capabilities) -> None:
        """List the source anew where that was started in a way that is known to fail."""
        if capabilities.refused(OptionalRequest.HUB_API) and self._first_page is not None:
            self._first_page.cancel()
            self._names = self._names or self._start(self._source.tags())
        if capabilities.page_size is not None and self._names and not self._names.done():
            self._names.cancel()
            self._names = self._start(self._source.tags())

    def start_first_look(self) -> None:
        """Start what a mirror's first sync reads; a second call does nothing."""
        self.start_listing()
        if self._target_is_empty is None:
            self._names = self._names or self._start(self._source.tags())
            self._target_is_empty = self._start(_is_empty(self._target))
            self._start(self._source.registry.connect(_LIST_CONNECTIONS))

    def start_copies(self, digests: Iterable[str], verifier: Repository) -> None:
        """Start what the first copies need: manifests of the source; the target's authorization
        and connections to it.

        `digests` are the changed tags', in the order of their copies; `verifier` is the target by
        the client that verifies. Does nothing without digests.
        """
        first = list(digests)[:MANIFESTS]
        if not first:
            return
        self.read_manifests(first)
        self._start(self._target.registry.log_in(self._target.push))
        self.connect(self._target, min(4 * len(first), _COPY_CONNECTIONS))
        self.connect(verifier, min(4 * len(first), _VERIFY_CONNECTIONS))

    async def target_is_empty(self) -> bool:
        """True if the first look found no tag at all at the target."""
        return await self._target_is_empty if self._target_is_empty else False

    async def names(self) -> list[str]:
        """Every tag of the source by tags/list. Raises RegistryError."""
        return await (self._names or self._source.tags())

    async def pages(self) -> AsyncGenerator[HubPage, None]:
        """The web API's pages, newest first; none where there is no web API.

        Can be iterated once. Raises RegistryError.
        """
        if self._pages is None or self._first_page is None:
            return
        async with aclosing(self._pages) as following:
            if (first := await self._first_page) is None:
                return
            yield first
            async for page in following:
                yield page

    def read_manifests(self, digests: Iterable[str]) -> None:
        """Start to read manifests of the source and those of their children that are kept."""
        for digest in digests:
            if digest not in self._manifests and len(self._manifests) < _AHEAD:
                self._manifests[digest] = self._start(self._read(digest))

    def connect(self, repository: Repository, count: int) -> None:
        """Start to open connections to a repository's registry."""
        self._start(repository.registry.connect(count))

    async def manifest(self, digest: str) -> Manifest:
        """A manifest of the source, prefetched or read now. Raises RegistryError."""
        task = self._manifests.pop(digest, None)
        return await (task or self._source.get_manifest(digest))

    async def _read_tag(self, name: str) -> str | None:
        """The digest of a new tag by reading its manifest, without a HEAD before it.

        None where reads count against a pull quota, and where it can't be read: a HEAD says why.
        """
        registry = self._source.registry
        if self._images is None or registry.counts_pulls or len(self._manifests) >= MANIFESTS:
            return None
        if not self._expects_copies:
            self._expects_copies = True
            self.connect(self._target, _FIRST_CONNECTIONS)
        try:
            manifest = await self._source.get_manifest(name)
        except RegistryError:
            return None
        if manifest.digest not in self._manifests:
            read = asyncio.get_running_loop().create_future()
            read.set_result(manifest)
            self._manifests[manifest.digest] = read
            self._read_children(manifest)
        return manifest.digest

    def _new_digest(self, digest: str) -> None:
        """Read what a new tag points at, unless the registry counts reads (a pull quota)."""
        if self._images is None or self._source.registry.quota is not None:
            return
        if len(self._manifests) < MANIFESTS:
            self.read_manifests([digest])

    async def _read(self, digest: str) -> Manifest:
        manifest = await self._source.get_manifest(digest)
        self._read_children(manifest)
        return manifest

    def _read_children(self, manifest: Manifest) -> None:
        if manifest.is_index:
            dropped = unwanted(manifest, self._images or ImageRules())
            self.read_manifests(child.digest for child in kept(manifest.children, dropped))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: asyncio would report it where nobody awaits the task


class ManifestHeads:
    """What tags of a repository point at, each requested once, by HEAD."""

    def __init__(
        self,
        repository: Repository,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        read_new: Callable[[str], Awaitable[str | None]] | None = None,
        on_new: Callable[[str], None] | None = None,
    ) -> None:
        """`start` runs a request as a task. `read_new` gives a new name's digest without a HEAD, or
        None; `on_new` receives it then."""
        self._repository = repository
        self._start = start
        self._read_new = read_new
        self._on_new = on_new
        self._asked: set[str] = set()
        self._waiting: deque[tuple[str, bool]] = deque()
        self._heads: dict[str, Head] = {}
        self._running = 0
        self._changed = asyncio.Event()
        self._failed: BaseException | None = None

    def start(self, names: Iterable[str], *, new: bool = False) -> None:
        """Request each name once, `AT_ONCE` at a time. `new`: it is going to be copied."""
        for name in names:
            if name not in self._asked:
                self._asked.add(name)
                self._waiting.append((name, new))
                if self._running < AT_ONCE:
                    self._running += 1
                    self._start(self._work_off()).add_done_callback(self._ended)

    async def _work_off(self) -> None:
        try:
            await self._work()
        finally:
            self._running -= 1  # not in the callback: a name that comes before it would wait

    async def _work(self) -> None:
        while self._waiting:
            name, new = self._waiting.popleft()
            digest = await self._read_new(name) if new and self._read_new else None
            if digest is not None:
                self._heads[name] = digest
                self._changed.set()
                continue
            try:
                found = await self._repository.head_manifest(name)
            except RegistryError as error:
                self._heads[name] = bare(error)
            else:
                self._heads[name] = found.digest if found else None
                if found is not None and new and self._on_new is not None:
                    self._on_new(found.digest)
            self._changed.set()

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if worker.cancelled():
            self._failed = asyncio.CancelledError()
        else:
            self._failed = worker.exception() or self._failed
        self._changed.set()

    async def of(self, names: Iterable[str]) -> dict[str, Head]:
        """The digest of each name, None where it is absent, the error where it cannot be read."""
        names = list(names)
        self.start(names)
        for name in names:
            while name not in self._heads:
                if self._failed is not None:
                    raise self._failed
                self._changed.clear()
                await self._changed.wait()
        return {name: self._heads[name] for name in names}


async def _next(pages: AsyncGenerator[HubPage, None]) -> HubPage | None:
    return await anext(pages, None)


async def _is_empty(repository: Repository) -> bool:
    """True if it has no tag at all: one request instead of a HEAD for each that is absent.

    A list that names some is not relied upon, since there are registries that cut it short.
    """
    try:
        return not await repository.tags()
    except NotFound:
        return True
    except RegistryError:
        return False
