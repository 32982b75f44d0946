"""One run works on a target at a time, and a lost lock is noticed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mirror.history import (
    LockLost,
    PostgresRecorder,
    TargetLocked,
)
from tests.history.values import begin, row
from tests.support.records import MIRROR

NAME = MIRROR.name


async def test_one_run_for_a_target_at_a_time(recorder: PostgresRecorder, url: str) -> None:
    async with PostgresRecorder.open(url) as other:
        async with recorder.target_lock(MIRROR.target) as lock:
            run = await begin(recorder)
            await lock.check()
            with pytest.raises(TargetLocked, match=run) as refused:
                async with other.target_lock(MIRROR.target):
                    pass
            assert refused.value.started_at is not None
        async with other.target_lock(MIRROR.target):
            pass


async def test_a_lock_whose_connection_was_killed_is_noticed(
    recorder: PostgresRecorder, engine: sa.Engine, url: str
) -> None:
    async with recorder.target_lock(MIRROR.target) as lock:
        pid = lock.connection.info.backend_pid
        row(engine, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(LockLost, match="hagicode/hagicode"):
            await lock.check()
        async with PostgresRecorder.open(url) as other, other.target_lock(MIRROR.target):
            pass
