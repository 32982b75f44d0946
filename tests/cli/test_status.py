"""`mirror status` and `mirror unlock` as processes, on a history with runs that died."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mirror.history import PostgresRecorder
from mirror.outcome import Reason, RunOutcome, RunStatus, TagFailure, Trigger
from tests.cli.test_command import run
from tests.history.values import begin, row
from tests.support.records import MIRROR

YAML = f"mirrors: {{{MIRROR.name}: {{source: {MIRROR.source}, target: {MIRROR.target}}}}}"


@pytest.fixture
def environment(tmp_path: Path, url: str) -> dict[str, str]:
    path = tmp_path / "mirrors.yaml"
    path.write_text(YAML)
    return {"MIRROR_CONFIG": str(path), "MIRROR_DATABASE_URL": url}


def last_run(out: bytes) -> dict[str, Any]:
    (found,) = json.loads(out)
    result: dict[str, Any] = found["last_run"]
    return result


async def test_a_dead_run_is_never_shown_as_running(
    recorder: PostgresRecorder, environment: dict[str, str]
) -> None:
    await begin(recorder)  # and nobody holds the lock
    done = run("status", "--json", **environment)
    assert (done.returncode, done.stderr) == (1, b"")
    assert last_run(done.stdout)["status"] == "abandoned"


async def test_a_run_that_lives_is_shown_as_running(
    recorder: PostgresRecorder, environment: dict[str, str]
) -> None:
    async with recorder.target_lock(MIRROR.target):
        await begin(recorder)
        done = run("status", "--json", **environment)
    assert last_run(done.stdout)["status"] == "running"


async def test_a_run_that_only_met_a_lock_is_not_the_state_of_the_mirror(
    recorder: PostgresRecorder, environment: dict[str, str]
) -> None:
    good = await begin(recorder)
    await recorder.end_run(RunOutcome(MIRROR.name, good, RunStatus.SUCCEEDED))
    for dry_run, reason in ((False, Reason.LOCK), (True, Reason.NETWORK)):
        other = await recorder.begin_run(MIRROR.name, Trigger.WATCH, full=False, dry_run=dry_run)
        failure = TagFailure(None, reason, "another run or nothing")
        outcome = RunOutcome(MIRROR.name, other, RunStatus.FAILED, errors=(failure,))
        await recorder.end_run(outcome)
    done = run("status", "--json", **environment)
    assert (done.returncode, last_run(done.stdout)["run_id"]) == (0, good)


async def test_a_lock_is_taken_away_by_force_only_from_a_holder_that_lives(
    recorder: PostgresRecorder, environment: dict[str, str], engine: sa.Engine
) -> None:
    assert run("unlock", MIRROR.name, **environment).stdout.endswith(b": not locked\n")
    async with recorder.target_lock(MIRROR.target):
        held = await begin(recorder)
        refused = run("unlock", MIRROR.name, **environment)
        assert refused.returncode == 1
        assert f"held by run {held} on ".encode() in refused.stderr
        assert b"--force" in refused.stderr
        forced = run("unlock", MIRROR.name, "--force", **environment)
        assert (forced.returncode, forced.stderr) == (0, b"")
        unlocked, closed = forced.stdout.decode().splitlines()
        assert f"unlocked; it was held by run {held} on " in unlocked
        assert closed == f"run {held}: closed as abandoned"
        async with recorder.target_lock(MIRROR.target):
            pass
    assert row(engine, "SELECT status FROM sync_run").status == "abandoned"
    unknown = run("unlock", "nothing", **environment)
    assert unknown.returncode == 2


async def test_a_backup_is_written_and_restored_by_the_commands(
    recorder: PostgresRecorder, environment: dict[str, str], tmp_path: Path, engine: sa.Engine
) -> None:
    environment |= {"MIRROR_DATA_DIR": str(tmp_path / "none")}
    good = await begin(recorder)
    await recorder.end_run(RunOutcome(MIRROR.name, good, RunStatus.SUCCEEDED))
    file = str(tmp_path / "mirror.backup")
    done = run("backup", file, **environment)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"written: {file}".encode())
    assert b"Prefect's database is not part of it" in done.stderr
    await begin(recorder)
    in_use = run("restore", file, **environment)
    assert in_use.returncode == 1
    assert b"in use (" in in_use.stderr
    await recorder.connections.pool.aclose()
    engine.dispose()
    done = run("restore", file, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"history: restored to ")
    assert row(engine, "SELECT count(*) AS runs FROM sync_run").runs == 1
