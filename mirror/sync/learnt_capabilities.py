"""What a run learns of its registries: loaded before its first look, saved where it is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mirror.registry import Capabilities, Repository
from mirror.sync.context import SyncContext
from mirror.sync.recorder import Learnt

_OF_A_SOURCE: Final = ("referrers", "page_size", "counts_pulls")
_BEFORE_THE_LIST: Final = ("page_size", "counts_pulls")


def load_source(source: Repository, learnt: Learnt) -> None:
    """Apply what earlier runs learnt of a source: what it refused is not provoked again."""
    abilities, refusals = learnt
    early = {name: abilities.get(name) for name in _BEFORE_THE_LIST}
    source.registry.capabilities.load(early)
    source.registry.capabilities.take_refusals(refusals)


class LearntCapabilities:
    """The capabilities of a mirror's registries, between a run and the history.

    A refusal that is loaded is not provoked again, also by a run that finds nothing to do.
    """

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._known: Mapping[tuple[str, str], Learnt] | None = None

    async def load(self) -> None:
        """Apply what earlier runs learnt, and list anew what was started in a way that fails."""
        context = self._context
        clients = context.clients
        self._known = await context.recorder.learnt((context.source, context.target))
        for place, (abilities, refusals) in self._known.items():
            if place == context.source:
                load_source(clients.source, (abilities, refusals))
                if refusals:
                    context.prefetch.follow(clients.source.registry.capabilities)
            if place == context.target:
                clients.target.registry.capabilities.load(abilities)
                for repository in (clients.target, clients.verifier):
                    repository.registry.capabilities.take_refusals(refusals)

    async def save(self) -> None:
        """Write what is known now and was not when it was loaded."""
        if self._known is None:
            return  # the run ended before
        clients = self._context.clients
        target = clients.target.registry.capabilities
        target.take_refusals(clients.verifier.registry.capabilities.refusals)
        for place in (self._context.source, self._context.target):
            capabilities, seen = self._state(place)
            abilities, refusals = self._known.get(place, ({}, {}))
            if seen.items() <= abilities.items() and (
                capabilities.refusals.items() <= refusals.items()
            ):
                continue
            dumped = capabilities.dump_refusals()
            await self._context.recorder.save_abilities(*place, seen, dumped)

    def _state(self, place: tuple[str, str]) -> tuple[Capabilities, dict[str, str | int | bool]]:
        """The capabilities of a repository's registry, and what of them is saved."""
        clients = self._context.clients
        if place == self._context.target:
            target = clients.target.registry.capabilities
            return target, dict(target.dump())
        source = clients.source.registry.capabilities
        return source, {name: one for name, one in source.dump().items() if name in _OF_A_SOURCE}
