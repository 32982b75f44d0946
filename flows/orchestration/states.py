"""What a Prefect state carries in this process."""

from __future__ import annotations

from typing import Any, TypeVar

from prefect.client.schemas.objects import State

T = TypeVar("T")


class OutcomeError(Exception):
    """What a run or task raises to be marked failed in Prefect; carries its outcome."""

    def __init__(self, message: str, outcome: object) -> None:
        super().__init__(message)
        self.outcome = outcome


async def outcome_of(state: State[Any]) -> object:
    """The outcome of a flow or task of this process, or the error that ended it."""
    result: object = await state.aresult(raise_on_failure=False)
    return result.outcome if isinstance(result, OutcomeError) else result


async def outcome_as(state: State[Any], kind: type[T], what: str) -> T:
    """The outcome of a flow of this process, which must be a `kind`.

    Raises what the flow raised, or RuntimeError, which names `what` ended without one.
    """
    outcome = await outcome_of(state)
    if isinstance(outcome, kind):
        return outcome
    await state.aresult()
    raise RuntimeError(f"{what} ended as {state.name} without an outcome")
