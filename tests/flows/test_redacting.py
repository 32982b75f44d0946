"""What a flow raises shows no secret where Prefect keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows.orchestration import living
from mirror.outside_text import MARK, keep_secret

SECRET = "planted-for-a-flow"


@living
async def _breaking(file: str) -> State[Any]:
    raise FileNotFoundError(2, f"No such file: {SECRET}", file)


async def test_what_a_flow_raises_is_redacted_in_its_state_and_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_secret(SECRET)
    state: Any = await flow(name="breaking")(_breaking)("/etc/mirrors.yaml", return_state=True)
    assert MARK in state.message
    assert "FileNotFoundError" in f"{state.message} {state!r}"
    raised = await state.aresult(raise_on_failure=False)
    assert SECRET not in f"{state.message} {state!r} {raised!r} {caplog.text}"
