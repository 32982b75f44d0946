"""What a Prefect state carries in this process."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect._result_records import ResultRecord


class FellShort(Exception):
    """A failed run or task as Prefect wants it, an exception, with the outcome that it had."""

    def __init__(self, message: str, outcome: object) -> None:
        super().__init__(message)
        self.outcome = outcome


def outcome_of(state: State[Any]) -> object:
    """The outcome that a flow or task of this process ended with; None if it broke off."""
    data = state.data.result if isinstance(state.data, ResultRecord) else state.data
    return data.outcome if isinstance(data, FellShort) else data
