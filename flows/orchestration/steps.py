"""The steps of a sync as Prefect tasks: discover, diff, a copy for each changed tag, verify."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from mirror.outcome import CopyOutcome
from mirror.sync import StepBroken

T = TypeVar("T")


class _Work:
    """What a task runs, and its result. A plain class: Prefect does not look through its fields,
    nor at the result, which for ten thousand tags takes longer than the task."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.work = work
        self.result: Any = None
        self.finished = False


async def _perform(work: _Work, subject: str) -> State[None]:
    work.result = await work.work()
    work.finished = True
    if isinstance(work.result, CopyOutcome):
        if work.result.failure is not None:
            return Failed(message=work.result.failure.message)
        return Completed(message=f"{work.result.bytes_copied} bytes copied")
    return Completed()


_TASKS = {
    name: task(name=name, task_run_name=shown, cache_policy=NO_CACHE, persist_result=False)(
        _perform
    )
    for name, shown in {
        "discover": "discover",
        "diff": "diff",
        "copy": "copy {subject}",
        "verify": "verify",
    }.items()
}


async def as_task(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
    """Run a step as a Prefect task. The state of a copy says whether its tag failed."""
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
