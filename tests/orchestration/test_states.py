"""Outcomes travel in Prefect's states."""

from __future__ import annotations

import pytest
from prefect.states import Completed, Failed

from flows.orchestration.states import OutcomeError, outcome_as, outcome_of


async def test_a_state_carries_its_outcome_whether_it_failed_or_not() -> None:
    assert await outcome_of(Completed(data=7)) == 7
    assert await outcome_of(Failed(data=OutcomeError("partly", 7))) == 7
    assert await outcome_as(Failed(data=OutcomeError("partly", 7)), int, "the run") == 7


async def test_what_a_flow_raised_is_raised_again() -> None:
    with pytest.raises(ValueError, match="broken"):
        await outcome_as(Failed(data=ValueError("broken")), int, "the run")


async def test_a_run_without_an_outcome_is_named() -> None:
    with pytest.raises(RuntimeError, match="the run ended as Completed without an outcome"):
        await outcome_as(Completed(data="text"), int, "the run")
