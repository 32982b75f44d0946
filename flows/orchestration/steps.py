"""The steps of a sync as Prefect tasks: discover, diff, copies of changed tags, verify."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from rich.filesize import decimal

from flows.orchestration.redacting import redacting
from mirror.logs import log_level, logs_json
from mirror.outcome import Discovery, Plan
from mirror.sync import BatchOutcome, StepBroken

T = TypeVar("T")


class _Work:
    """What a task runs, and its result. A plain class: Prefect does not look through its fields,
    nor at the result, which for ten thousand tags takes longer than the task."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.work = work
        self.result: Any = None
        self.finished = False


@redacting
async def _perform(work: _Work, subject: str) -> State[None]:
    work.result = await work.work()
    work.finished = True
    if isinstance(work.result, BatchOutcome):
        return _copied(work.result)
    if isinstance(work.result, Discovery):
        return Completed(message=f"{len(work.result.tags)} tags looked at, by {work.result.via}")
    if isinstance(work.result, Plan):
        plan = work.result
        return Completed(
            message=f"{len(plan.changes)} to copy, {plan.unchanged} unchanged,"
            f" {len(plan.gone)} gone, {len(plan.deferred)} deferred"
        )
    return Completed()


def _copied(batch: BatchOutcome) -> State[None]:
    if failed := batch.failed:
        total = batch.copied + len(failed)
        many = f"{len(failed)} of {total} tags failed: " if total > 1 else ""
        return Failed(message=f"{many}{failed[0]}")
    many = f"{batch.copied} tags, " if batch.copied > 1 else ""
    return Completed(message=f"{many}{decimal(batch.bytes_copied)} copied")


_TASKS = {
    name: task(name=name, task_run_name=shown, cache_policy=NO_CACHE, persist_result=False)(
        _perform
    )
    for name, shown in {
        "discover": "discover {subject}",
        "diff": "diff {subject}",
        "copy": "copy {subject}",
        "verify": "verify {subject}",
    }.items()
}


async def as_task(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
    """Run a step as a Prefect task. The state of a copy says whether a tag failed."""
    given = _Work(work)
    # Prefect's types lose the state on the way through return_state.
    state: State[Any] = await cast(Any, _TASKS[name])(given, subject, return_state=True)
    if given.finished:
        result: T = given.result
        return result
    if name == "copy":
        raise StepBroken(state.message or state.name)
    await state.aresult()
    raise StepBroken(state.message or state.name)


def task_log(line: str, *, failed: bool = False) -> None:
    """Write a line to the log of the task run that runs, as Prefect's UI shows it.

    Commands silence Prefect's own log, and their output is not the place for a line a tag.
    """
    log = logging.getLogger("prefect.task_runs.tags")
    if logs_json():
        log.setLevel(log_level())
    elif log.propagate:
        log.setLevel(logging.INFO)
        log.handlers = logging.getLogger("prefect.task_runs").handlers
        log.propagate = False
    adapter = get_run_logger()
    extra = adapter.extra if isinstance(adapter, logging.LoggerAdapter) else None
    log.log(logging.ERROR if failed else logging.INFO, "%s", line, extra=extra)
