"""The watch: one cheap look at every source, so that a moved tag need not wait for the schedule."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from flows.orchestration import OutcomeError, outcome_of
from flows.sync import sync
from mirror.config import MirrorSettings, Settings, load_settings
from mirror.history import Record, WatchLook, database_url, mirror_row, prepare
from mirror.outcome import (
    Discovery,
    KnownTag,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    Trigger,
    utcnow,
)
from mirror.registry import RegistryError
from mirror.sync import Look, TagRules, diff, discover, open_sides, tag_rules_of


@dataclass(frozen=True)
class Watched:
    """What a look at all sources saw and did."""

    looked: tuple[str, ...]  # sources
    moved: tuple[str, ...]  # mirrors
    started: tuple[str, ...]  # mirrors whose sync was started as a deployment's run
    synced: tuple[RunOutcome, ...]  # mirrors that were synced in this process
    requests: int
    seconds: float
    errors: tuple[TagFailure, ...]


@flow(name="watch", flow_run_name="watch", persist_result=False)
async def watch() -> State[Watched]:
    """Look at every source once and start the sync of each mirror whose source moved.

    One row in the record. The sync runs as its deployment where there is one, else in this process.
    """
    settings, began, started = load_settings(), utcnow(), time.perf_counter()
    log = get_run_logger()
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    async with Record.open(url) as record:
        for mirror in settings.mirrors.values():
            await record.ensure_mirror(mirror_row(mirror))
        looks = await asyncio.gather(
            *(look_task(Glance(settings, record, group)) for group in _by_source(settings))
        )
        moved = tuple(name for look in looks for name in look.moved)
        errors = tuple(look.error for look in looks if look.error)
        requests = sum(look.requests for look in looks)
        await record.add_watch(
            WatchLook(
                started_at=began,
                ended_at=utcnow(),
                looked=tuple(name for look in looks for name in look.mirrors),
                moved=moved,
                failed=tuple(
                    replace(look.error, tag=name)
                    for look in looks
                    if look.error
                    for name in look.mirrors
                ),
                requests=requests,
            )
        )
    for error in errors:
        log.error("%s", error.message)
    remote, synced = await _start(moved)
    watched = Watched(
        looked=tuple(look.source for look in looks),
        moved=moved,
        started=remote,
        synced=synced,
        requests=requests,
        seconds=round(time.perf_counter() - started, 4),
        errors=errors,
    )
    return _state(watched)


def _state(watched: Watched) -> State[Watched]:
    moved = f"moved: {', '.join(watched.moved)}" if watched.moved else "nothing moved"
    if watched.errors and len(watched.errors) == len(watched.looked):
        message = watched.errors[0].message
        return Failed(message=message, data=OutcomeError(message, watched))
    short = watched.errors or any(o.status is not RunStatus.SUCCEEDED for o in watched.synced)
    return Completed(name="Partial" if short else None, message=moved, data=watched)


def _by_source(settings: Settings) -> list[tuple[MirrorSettings, ...]]:
    sources: dict[str, list[MirrorSettings]] = defaultdict(list)
    for mirror in settings.mirrors.values():
        sources[mirror.source].append(mirror)
    return [tuple(mirrors) for mirrors in sources.values()]


class Glance:
    """One source and its mirrors, as the task that looks at it takes them."""

    def __init__(
        self, settings: Settings, record: Record, mirrors: Sequence[MirrorSettings]
    ) -> None:
        self.settings = settings
        self.record = record
        self.mirrors = mirrors
        self.source = mirrors[0].source


@dataclass(frozen=True)
class Seen:
    """What a look at one source saw."""

    source: str
    mirrors: tuple[str, ...]
    moved: tuple[str, ...]
    requests: int
    error: TagFailure | None = None


@task(name="look", task_run_name="look", cache_policy=NO_CACHE, persist_result=False)
async def look_task(glance: Glance) -> Seen:
    """Look at one source for all of its mirrors at once."""
    known = {m.name: await glance.record.known_tags(m.name) for m in glance.mirrors}
    rules = {mirror.name: tag_rules_of(mirror) for mirror in glance.mirrors}
    async with open_sides(glance.settings, glance.mirrors[0]) as sides:
        try:
            seen = await discover(
                Look(
                    source=sides.source,
                    target=sides.target,
                    rules=_any_of(list(rules.values())),
                    known=_agreed(list(known.values())),
                    full=False,
                    hub=sides.hub,
                    watching=True,
                )
            )
        except RegistryError as error:
            failure = TagFailure(None, Reason(error.reason), f"watch: {error}")
            return Seen(glance.source, tuple(known), (), sides.source_requests, failure)
        moved = tuple(name for name, tags in known.items() if _moved(seen, tags, rules[name]))
        return Seen(glance.source, tuple(known), moved, sides.source_requests)


def _any_of(rules: Sequence[TagRules]) -> TagRules:
    """Rules that admit what any of the mirrors admits."""
    if len(rules) == 1:
        return rules[0]
    return TagRules(companions=any(rule.companions for rule in rules))


def _agreed(known: Sequence[Mapping[str, KnownTag]]) -> dict[str, KnownTag]:
    """What all mirrors have alike: only for that may a look stop early."""
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


def _moved(seen: Discovery, known: Mapping[str, KnownTag], rules: TagRules) -> bool:
    admitted = {tag.name for tag in seen.tags if rules.admits(tag.name)}
    times = {tag.name: tag.pushed_at for tag in seen.tags}
    times |= {k.name: k.pushed_at or k.detected_at for k in known.values()}
    admitted &= rules.newest_of((name, times.get(name)) for name in admitted | known.keys())
    tags = tuple(tag for tag in seen.tags if tag.name in admitted)
    plan = diff(replace(seen, tags=tags), known, rules, utcnow())
    new_gone = any(known[name].gone_at is None for name in plan.gone)
    return bool(plan.changes or new_gone)  # deletions can wait for the scheduled sync


async def _start(moved: Sequence[str]) -> tuple[tuple[str, ...], tuple[RunOutcome, ...]]:
    """Start the syncs: as runs of their deployments where these exist, in this process else."""
    remote, here = [], []
    async with get_client() as client:
        for name in moved:
            try:
                await client.read_deployment_by_name(f"sync/{name}")
            except ObjectNotFound:
                here.append(name)
            else:
                remote.append(name)
    for name in remote:
        await arun_deployment(
            f"sync/{name}",
            parameters={"mirror": name, "full": False, "trigger": Trigger.WATCH.value},
            timeout=0,
            as_subflow=False,
        )
    states = await asyncio.gather(
        *(
            sync.with_options(retries=0)(
                mirror=name, full=False, trigger=Trigger.WATCH.value, return_state=True
            )
            for name in here
        )
    )
    synced = []
    for state in states:
        outcome = await outcome_of(state)
        if not isinstance(outcome, RunOutcome):
            await state.aresult()
            raise RuntimeError(f"a sync ended as {state.name} without an outcome")
        synced.append(outcome)
    return tuple(remote), tuple(synced)
