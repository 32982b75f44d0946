"""Connections to a record of the test's own, and values to write into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from mirror.history import MirrorRow, Record
from mirror.history.engine import create_engine

MIRROR = MirrorRow(
    name="hagicode-aliyun",
    source="docker.io/newbe36524/hagicode",
    target="registry.example.com/hagicode/hagicode",
    every=timedelta(minutes=30),
    watch_every=timedelta(minutes=2),
    delay_goal=timedelta(minutes=30),
)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """Connections to that database."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
async def record(url: str) -> AsyncIterator[Record]:
    """The record in that database, with one mirror."""
    async with Record.open(url) as record:
        await record.ensure_mirror(MIRROR)
        yield record


@pytest.fixture
def deep_folder(tmp_path: Path) -> Path:
    """A folder whose path is longer than a unix socket's may be."""
    return tmp_path / ("deep" * 30)
