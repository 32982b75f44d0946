"""Fixtures that tests of syncs share."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from mirror.registry.http import retries


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's waits between attempts take no time."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(retries, "asyncio", SimpleNamespace(sleep=sleep))
