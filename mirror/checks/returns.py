"""Registries that are back: what failed while one was away is due at once, not at its pace.

A watch looks at sources only, so a target's return would be found at the next try of a failed tag,
minutes or an hour later. While tags wait that failed because a registry was away, one of them is
requested by HEAD at both of its sides.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from mirror.config import MirrorSettings, Settings
from mirror.errors import ConfigError
from mirror.history import DatabaseAway, WaitingTag
from mirror.outcome import utcnow
from mirror.registry import Clock, Reference, RegistryError, Repository
from mirror.sync import MirrorClients, tag_rules_of

_EVERY: Final = 10.0  # seconds
_PATIENCE: Final = 10.0  # seconds for an answer
_THROTTLED: Final = 429
Answers = Callable[[MirrorSettings, str], Awaitable[bool]]
"""Whether both registries of a mirror answer a question about a tag."""


class ReturnRecorder(Protocol):
    """The part of the history's recorder that this uses."""

    async def waiting_tags(self, now: datetime) -> Sequence[WaitingTag]:
        """Tags whose last try failed since a registry was away, and that are not due yet."""

    async def due_at_once(self, mirror: str, tags: Sequence[str], now: datetime) -> None:
        """Let the next run try tags that wait."""


class Returns:
    """Looks out for the registries of failed tags, and starts their syncs once all are back.

    A registry that answers while copies to it fail is no reason to try again and again. So beyond
    the first failure a return counts only where it was seen away before, or not seen at all yet.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: ReturnRecorder,
        answers: Answers,
        start: Callable[[str, str], object],
        clock: Clock | None = None,
    ) -> None:
        """`start` receives the mirror's name and source."""
        self._settings = settings
        self._recorder = recorder
        self._answers = answers
        self._start = start
        self._clock = clock or Clock()
        self._there: set[tuple[str, str]] = set()  # registries that answered when last asked

    async def run(self) -> None:
        """Look out for ever. Returns only by being cancelled."""
        while True:
            await self._clock.sleep(_EVERY)
            try:
                await self.look()
            except DatabaseAway:
                continue  # the looks at the sources report it

    async def look(self) -> None:
        """Ask each pair of registries once for which tags wait. Raises DatabaseAway."""
        waiting: dict[str, list[WaitingTag]] = defaultdict(list)
        for tag in await self._recorder.waiting_tags(utcnow()):
            waiting[tag.mirror].append(tag)
        by_registries: dict[tuple[str, str], list[MirrorSettings]] = defaultdict(list)
        for name in waiting:
            try:
                mirror = self._settings.mirror(name)
            except ConfigError:
                continue  # not mirrored any more
            by_registries[_registries(mirror)].append(mirror)
        await asyncio.gather(
            *(self._ask(pair, mirrors, waiting) for pair, mirrors in by_registries.items())
        )

    async def _ask(
        self,
        registries: tuple[str, str],
        mirrors: Sequence[MirrorSettings],
        waiting: Mapping[str, Sequence[WaitingTag]],
    ) -> None:
        first = mirrors[0]
        if not await self._answers(first, waiting[first.name][0].tag):
            self._there.discard(registries)
            return
        were_there = registries in self._there
        self._there.add(registries)
        for mirror in mirrors:
            tags = [one.tag for one in waiting[mirror.name] if not were_there or one.attempts <= 1]
            if tags:
                await self._recorder.due_at_once(mirror.name, tags, utcnow())
                self._start(mirror.name, mirror.source)


async def both_answer(clients: MirrorClients, mirror: MirrorSettings, tag: str) -> bool:
    """Whether source and target of a mirror answer a HEAD for a tag, whatever they say of it."""
    target_tag = tag_rules_of(mirror).target_name(tag)
    answers = await asyncio.gather(
        _answers(clients.source, tag), _answers(clients.target, target_tag)
    )
    return all(answers)


async def _answers(repository: Repository, tag: str) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await repository.head_manifest(tag)
    except TimeoutError:
        return False
    except RegistryError as error:
        return error.status is not None and error.status < 500 and error.status != _THROTTLED
    return True


def _registries(mirror: MirrorSettings) -> tuple[str, str]:
    source, target = Reference.parse(mirror.source), Reference.parse(mirror.target)
    return source.registry, target.registry
