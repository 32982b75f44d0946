"""The watch: one cheap look at every source, so that a moved tag need not wait for the schedule.

A round looks at each source once, however many mirrors it has, and says which mirrors are due. It
reads the newest page of the source's tags only; deletions wait for the scheduled sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from mirror.checks.by_source import by_source
from mirror.checks.check_recorder import CheckRecorder
from mirror.config import MirrorSettings, Settings
from mirror.history import WatchRow, mirror_row
from mirror.outcome import (
    Discovery,
    KnownTag,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    utcnow,
)
from mirror.registry import RegistryError, Repository
from mirror.sync import (
    DiscoverRequest,
    MirrorClients,
    TagRules,
    diff,
    discover,
    load_source,
    tag_rules_of,
)

SOURCES_AT_ONCE = 16
OpenClients = Callable[[MirrorSettings], AbstractAsyncContextManager[MirrorClients]]
"""Opens the registry clients of a mirror."""


@dataclass(frozen=True)
class WatchTask:
    """A source to look at, and the mirrors of it."""

    mirrors: tuple[MirrorSettings, ...]
    recorder: CheckRecorder
    open_clients: OpenClients

    @property
    def source(self) -> str:
        """The source repository, `host[:port]/path`."""
        return self.mirrors[0].source


@dataclass(frozen=True)
class WatchResult:
    """What a look at one source found."""

    source: str
    mirrors: tuple[str, ...]
    moved: tuple[str, ...]  # mirrors that are due
    requests: int
    error: TagFailure | None = None


@dataclass(frozen=True)
class WatchRound:
    """What one look at every source found."""

    results: tuple[WatchResult, ...]

    @property
    def moved(self) -> tuple[str, ...]:
        """Mirrors whose source moved, which are due for a sync."""
        return tuple(name for result in self.results for name in result.moved)

    @property
    def errors(self) -> tuple[TagFailure, ...]:
        """One for each source that could not be read."""
        return tuple(result.error for result in self.results if result.error)

    @property
    def requests(self) -> int:
        """HTTP requests sent."""
        return sum(result.requests for result in self.results)


@dataclass(frozen=True)
class WatchReport:
    """What a round found and started: what `mirror watch --json` prints."""

    looked: tuple[str, ...]  # sources
    moved: tuple[str, ...]  # mirrors
    started: tuple[str, ...]  # mirrors whose sync was started as a deployment's run
    synced: tuple[RunOutcome, ...]  # mirrors that were synced in this process
    requests: int
    seconds: float
    errors: tuple[TagFailure, ...]

    @property
    def well(self) -> bool:
        """True if every source could be read and every sync in this process succeeded."""
        return not self.errors and all(
            outcome.status is RunStatus.SUCCEEDED for outcome in self.synced
        )

    @property
    def failed(self) -> bool:
        """True if no source could be read."""
        return bool(self.errors) and len(self.errors) == len(self.looked)


async def watch_source(task: WatchTask) -> WatchResult:
    """Look at one source for all of its mirrors at once. Registry errors are in the result."""
    known = {m.name: await task.recorder.known_tags(m.name) for m in task.mirrors}
    rules = {mirror.name: tag_rules_of(mirror) for mirror in task.mirrors}
    async with task.open_clients(task.mirrors[0]) as clients:
        before = clients.source_requests  # the clients may have been used already
        clients.budget.renew()
        if not before:
            await _load_learnt(task.recorder, clients.source)
        try:
            discovery = await discover(
                DiscoverRequest(
                    source=clients.source,
                    target=clients.target,
                    rules=_any_of(list(rules.values())),
                    known=_common(list(known.values())),
                    full=False,
                    hub=clients.hub,
                    watching=True,
                )
            )
        except RegistryError as error:
            failure = TagFailure(None, Reason(error.reason), f"watch: {error}")
            return WatchResult(
                task.source, tuple(known), (), clients.source_requests - before, failure
            )
        moved = tuple(name for name, tags in known.items() if is_due(discovery, tags, rules[name]))
        return WatchResult(task.source, tuple(known), moved, clients.source_requests - before)


async def _load_learnt(recorder: CheckRecorder, source: Repository) -> None:
    place = source.registry.host, source.name
    for learnt in (await recorder.learnt([place])).values():
        load_source(source, learnt)


async def watch_sources(
    settings: Settings,
    recorder: CheckRecorder,
    open_clients: OpenClients,
    step: Callable[[WatchTask], Awaitable[WatchResult]] = watch_source,
) -> WatchRound:
    """Look at every source once and write the round to the history.

    `step` runs one look; a flow makes a task of it. Raises DatabaseAway.
    """
    started = utcnow()
    mirrors = settings.mirrors.values()
    for mirror in mirrors:
        await recorder.ensure_mirror(mirror_row(mirror))
    slots = asyncio.Semaphore(SOURCES_AT_ONCE)

    async def look(group: tuple[MirrorSettings, ...]) -> WatchResult:
        async with slots:
            return await step(WatchTask(group, recorder, open_clients))

    results = await asyncio.gather(*(look(group) for group in by_source(mirrors)))
    found = WatchRound(tuple(results))
    await recorder.add_watch(watch_row(results, started, utcnow()))
    return found


def watch_row(results: Sequence[WatchResult], started: datetime, ended: datetime) -> WatchRow:
    """What looks found, as the history keeps it."""
    return WatchRow(
        started_at=started,
        ended_at=ended,
        looked=tuple(name for result in results for name in result.mirrors),
        moved=tuple(name for result in results for name in result.moved),
        failed=tuple(
            replace(result.error, tag=name)
            for result in results
            if result.error
            for name in result.mirrors
        ),
        requests=sum(result.requests for result in results),
    )


def is_due(discovery: Discovery, known: Mapping[str, KnownTag], rules: TagRules) -> bool:
    """Whether a mirror has something to copy, or a tag that its source no longer lists."""
    admitted = {tag.name for tag in discovery.tags if rules.admits(tag.name)}
    times = {tag.name: tag.pushed_at for tag in discovery.tags}
    times |= {k.name: k.pushed_at or k.detected_at for k in known.values()}
    admitted &= rules.newest_of((name, times.get(name)) for name in admitted | known.keys())
    tags = tuple(tag for tag in discovery.tags if tag.name in admitted)
    plan = diff(replace(discovery, tags=tags), known, rules, utcnow())
    new_gone = any(known[name].gone_at is None for name in plan.gone)
    return bool(plan.changes or new_gone)  # deletions can wait for the scheduled sync


def _any_of(rules: Sequence[TagRules]) -> TagRules:
    """Rules that admit what any of the mirrors admits."""
    if len(rules) == 1:
        return rules[0]
    return TagRules(companions=any(rule.companions for rule in rules))


def _common(known: Sequence[Mapping[str, KnownTag]]) -> dict[str, KnownTag]:
    """Tags that all mirrors know alike: only those may end a look early."""
    first, *others = known
    return {
        name: tag
        for name, tag in first.items()
        if all(
            (other := tags.get(name)) is not None
            and (other.source_digest, other.pushed_at, other.gone_at)
            == (tag.source_digest, tag.pushed_at, tag.gone_at)
            for tags in others
        )
    }
