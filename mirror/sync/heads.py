"""What tags of a repository point at, each asked for once, by HEAD."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mirror.registry import Descriptor, RegistryError, Repository
from mirror.sync.headstart import HeadStart
from mirror.sync.underway import UnderWay

Head = str | RegistryError | None


class Heads(UnderWay):
    """A name may be asked for before its answer is wanted: the round trip passes beside others."""

    def __init__(self, repository: Repository, start: HeadStart | None = None) -> None:
        """`start` is told the digests of names that are new."""
        super().__init__()
        self._repository = repository
        self._start = start
        self._asked: dict[str, asyncio.Task[Descriptor | None]] = {}

    def ask(self, names: Iterable[str], *, new: bool = False) -> None:
        """Ask for each name that was not asked for yet. new: they are going to be copied."""
        for name in names:
            if name not in self._asked:
                self._asked[name] = self._begin(
                    self._new(name) if new else self._repository.head_manifest(name)
                )

    async def _new(self, name: str) -> Descriptor | None:
        found = await self._repository.head_manifest(name)
        if found is not None and self._start is not None:
            self._start.expect(found.digest)
        return found

    async def of(self, names: Iterable[str]) -> dict[str, Head]:
        """The digest of each name, None where it is absent, the error where it cannot be had."""
        names = list(names)
        self.ask(names)
        answers = await asyncio.gather(
            *(self._asked[name] for name in names), return_exceptions=True
        )
        heads: dict[str, Head] = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, RegistryError):
                heads[name] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                heads[name] = answer.digest if answer else None
        return heads
