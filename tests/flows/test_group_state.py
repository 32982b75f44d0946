"""The state of a task run that syncs one mirror of a group."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flows import sync_group
from mirror.outcome import RunStatus


def test_a_run_that_leaves_failing_tags_alone_is_partial_without_an_error() -> None:
    tags = SimpleNamespace(copied=1, changed=1)
    outcome: Any = SimpleNamespace(status=RunStatus.PARTIAL, tags=tags, errors=())
    state = sync_group._state(outcome)
    assert (state.name, state.message) == ("Partial", "1 of 1 changed tags copied")
