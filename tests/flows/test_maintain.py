"""The flow `maintain` keeps the history's partitions ahead of time."""

from __future__ import annotations

from typing import Any

import pytest

from flows.maintain import maintain


@pytest.mark.usefixtures("mirrors")
async def test_it_makes_partitions_ahead_and_says_what_it_did() -> None:
    state: Any = await maintain(return_state=True)
    assert state.is_completed()
    assert state.message.startswith("partitions made ")
    # A second one finds nothing to do.
    again: Any = await maintain(return_state=True)
    assert again.message == "partitions made 0, dropped 0; killed runs closed 0"
