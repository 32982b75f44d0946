"""Mirrors are recorded as they are configured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mirror.history import (
    PostgresRecorder,
    UnknownMirror,
)
from mirror.outcome import (
    Trigger,
)
from tests.history.values import (
    begin,
    change,
    copied,
    row,
    seen,
)
from tests.support.records import MIRROR

NAME = MIRROR.name


async def test_another_target_forgets_the_tags_and_keeps_the_past(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, copied(tag), seen(tag))
    await recorder.ensure_mirror(MIRROR)
    assert len(await recorder.known_tags(NAME)) == 1
    await recorder.ensure_mirror(replace(MIRROR, target="registry.example.com/elsewhere/hagicode"))
    assert await recorder.known_tags(NAME) == {}
    assert row(engine, "SELECT count(*) AS rows FROM tag_sync").rows == 1


async def test_a_mirror_as_it_is_recorded_is_not_written_again(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    written = "SELECT xmin::text AS by FROM mirror"
    before = row(engine, written).by
    await recorder.ensure_mirror(MIRROR)
    assert row(engine, written).by == before
    await recorder.ensure_mirror(replace(MIRROR, delay_goal=timedelta(hours=1)))
    assert row(engine, written).by != before
    assert row(engine, "SELECT delay_goal FROM mirror").delay_goal == timedelta(hours=1)


async def test_an_unknown_mirror_is_named(recorder: PostgresRecorder) -> None:
    with pytest.raises(UnknownMirror, match="nobody"):
        await recorder.begin_run("nobody", Trigger.MANUAL, full=True)
