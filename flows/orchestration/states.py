"""What a Prefect state carries in this process."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State


class FellShort(Exception):
    """A failed run or task as Prefect wants it, an exception, with the outcome that it had."""

    def __init__(self, message: str, outcome: object) -> None:
        super().__init__(message)
        self.outcome = outcome


async def outcome_of(state: State[Any]) -> object:
    """The outcome that a flow or task of this process ended with, or the error that ended it."""
    result: object = await state.aresult(raise_on_failure=False)
    return result.outcome if isinstance(result, FellShort) else result
