"""One run works on a target at a time; a lost lock is noticed, and a dead holder loses it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import sqlalchemy as sa

from mirror.history import LockLost, PostgresRecorder, TargetLocked
from mirror.history.database.address import conninfo, parameters
from mirror.history.locks import lock_holder
from mirror.history.locks.dead_runs import close_dead_runs
from mirror.history.locks.lock_holder import (
    LockHolder,
    LockTimes,
    end_holder,
    open_connection,
    read_holder,
)
from mirror.outcome import RunOutcome, RunStatus, SourceTag, Trigger
from tests.history.values import begin, change, copied, digest, discovery, plan, row, seen
from tests.support.records import MIRROR

NAME = MIRROR.name
ROOT = Path(__file__).parents[2]
QUICK = LockTimes(beat=0.05, silent=0.4, confirm=0.3, patience=1.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats by hundredths of a second."""
    monkeypatch.setattr(lock_holder, "TIMES", QUICK)


async def until(url: str, condition: Callable[[LockHolder | None], bool]) -> None:
    """Wait until this is true of the holder of the target's lock."""
    with open_connection(url) as connection:
        while not condition(read_holder(connection, MIRROR.target)):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


def silent(holder: LockHolder | None) -> bool:
    return holder is not None and holder.silent


async def test_one_run_for_a_target_at_a_time(recorder: PostgresRecorder, url: str) -> None:
    async with PostgresRecorder.open(url) as other:
        async with recorder.target_lock(MIRROR.target) as lock:
            run = await begin(recorder)
            await lock.check()
            who = rf"run {run} on {socket.gethostname()}, process {os.getpid()}, since .*last heard"
            with pytest.raises(TargetLocked, match=who):
                async with other.target_lock(MIRROR.target):
                    pass
        async with other.target_lock(MIRROR.target):
            pass


async def test_the_row_of_a_holder_goes_with_the_lock(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    async with recorder.target_lock(MIRROR.target):
        run = await recorder.begin_run(NAME, Trigger.WATCH, full=False, flow_run_id="prefect-1")
        found = row(engine, "SELECT run_id::text, flow_run_id, pid FROM target_lock")
        assert tuple(found) == (run, "prefect-1", os.getpid())
    assert row(engine, "SELECT count(*) AS locks FROM target_lock").locks == 0


async def test_a_lock_whose_connection_was_killed_is_noticed(
    recorder: PostgresRecorder, engine: sa.Engine, url: str, quick: None
) -> None:
    async with recorder.target_lock(MIRROR.target) as lock:
        pid = lock.connection.info.backend_pid
        row(engine, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(LockLost, match="hagicode/hagicode"):
            await lock.hold(asyncio.sleep(60))
        async with PostgresRecorder.open(url) as other, other.target_lock(MIRROR.target):
            pass


async def test_every_connection_notices_a_lost_peer_within_half_a_minute(
    recorder: PostgresRecorder, url: str
) -> None:
    # Unix sockets have no such settings: what was asked for is what counts.
    async with recorder.target_lock(MIRROR.target) as lock, recorder.connections.one() as writer:
        for connection in (lock.connection, writer):
            asked = connection.info.get_parameters()
            names = ("keepalives_idle", "keepalives_interval", "keepalives_count")
            assert [asked[name] for name in names] == ["10", "5", "3"]
            assert asked["tcp_user_timeout"] == "25000"
            for setting in ("tcp_keepalives_idle=10", "tcp_user_timeout=25000"):
                assert setting in asked["options"]
            found = await connection.execute("SHOW client_connection_check_interval")
            assert tuple(await found.fetchone() or ()) == ("10s",)


async def test_what_a_run_writes_after_it_lost_the_lock_is_refused(
    recorder: PostgresRecorder, url: str, engine: sa.Engine
) -> None:
    async with recorder.target_lock(MIRROR.target), PostgresRecorder.open(url) as other:
        run = await begin(recorder)
        await recorder.tag_started(run, NAME, change())
        # As after a freeze: another took the lock over, and this one knows nothing of it yet.
        with open_connection(url) as connection:
            holder = read_holder(connection, MIRROR.target)
            assert holder is not None
            assert end_holder(connection, holder)
        async with other.target_lock(MIRROR.target):
            for writing in (
                recorder.tag_ended(run, NAME, copied(change()), seen(change())),
                recorder.tag_started(run, NAME, change("0.2", 2)),
                recorder.discovered(
                    run, NAME, discovery(SourceTag("0.3", digest(3))), plan(gone=("0.1.0",))
                ),
                recorder.end_run(RunOutcome(NAME, run, RunStatus.SUCCEEDED)),
                begin(recorder),
            ):
                with pytest.raises(LockLost, match="hagicode/hagicode"):
                    await writing
            assert await other.close_abandoned(NAME, None) == (run,)
    assert row(engine, "SELECT count(*) AS tags FROM tag_state").tags == 0
    assert tuple(row(engine, "SELECT status FROM sync_run")) == ("abandoned",)


HOLD = """
import asyncio, sys
from mirror.history import LockLost, PostgresRecorder
from mirror.history.locks import lock_holder
from mirror.outcome import Trigger
lock_holder.TIMES = lock_holder.LockTimes(beat=0.05, silent=0.4, confirm=0.3, patience=1.0)
async def main(url, name, target):
    async with PostgresRecorder.open(url) as recorder, recorder.target_lock(target) as lock:
        print(await recorder.begin_run(name, Trigger.MANUAL, full=True), flush=True)
        try:
            await lock.hold(asyncio.sleep(60))
        except LockLost as error:
            print(error, flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def holding_process(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds the lock, and its run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url, NAME, MIRROR.target],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_frozen_process_loses_the_lock_and_notices_when_it_goes_on(
    recorder: PostgresRecorder, url: str, quick: None, engine: sa.Engine
) -> None:
    with holding_process(url) as (process, run):
        process.send_signal(signal.SIGSTOP)
        await until(url, silent)
        async with recorder.target_lock(MIRROR.target):
            assert await recorder.close_abandoned(NAME, await begin(recorder)) == (run,)
            process.send_signal(signal.SIGCONT)
            said, _ = await asyncio.to_thread(process.communicate)
    assert "lost its lock" in said
    assert row(engine, f"SELECT status FROM sync_run WHERE id = '{run}'").status == "abandoned"


async def test_a_killed_process_loses_the_lock_at_once_and_its_run_is_closed_by_whoever_looks(
    recorder: PostgresRecorder, url: str, engine: sa.Engine
) -> None:
    with holding_process(url) as (process, run):
        assert close_dead_runs(url) == (), "it lives"
        process.kill()
        await until(url, lambda holder: holder is None)
        assert close_dead_runs(url) == (run,)
        assert close_dead_runs(url) == ()
    assert row(engine, "SELECT status FROM sync_run").status == "abandoned"


class Proxy:
    """A TCP connection to the server that stops forwarding, without a word to either side."""

    def __init__(self, url: str) -> None:
        asked = parameters(url)
        self._server = f"{asked['host']}/.s.PGSQL.{asked.get('port', 5432)}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.black_hole = False
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{asked['dbname']}"
        self._thread = Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        pumps = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sockets += [client, server]
            for one, other in ((client, server), (server, client)):
                pumps.append(Thread(target=self._pump, args=(one, other)))
                pumps[-1].start()
        for pump in pumps:
            pump.join()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                if not self.black_hole:
                    other.sendall(data)
            if not self.black_hole:
                other.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with closing(each):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        self._thread.join()


async def test_a_holder_whose_connection_leads_nowhere_loses_the_lock_and_gives_up(
    recorder: PostgresRecorder, url: str, quick: None
) -> None:
    with closing(Proxy(url)) as proxy:
        async with PostgresRecorder.open(proxy.url) as cut_off:

            async def work() -> None:
                while True:  # its statements hang as well
                    await cut_off.known_tags(NAME)
                    await asyncio.sleep(0.01)

            async def hold() -> str:
                async with cut_off.target_lock(MIRROR.target) as lock:
                    started.set_result(await begin(cut_off))
                    await lock.hold(work())
                return "held to the end"

            started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            holding = asyncio.create_task(hold())
            run = await started
            proxy.black_hole = True
            await until(url, silent)
            async with recorder.target_lock(MIRROR.target):
                assert await recorder.close_abandoned(NAME, await begin(recorder)) == (run,)
                with pytest.raises(LockLost):
                    await holding


async def test_a_database_that_was_frozen_takes_no_lock_from_a_holder_that_lives(
    recorder: PostgresRecorder, url: str, quick: None, engine: sa.Engine
) -> None:
    async with recorder.target_lock(MIRROR.target) as lock, PostgresRecorder.open(url) as other:
        # What it looks like when it answers again: no beat for long, and one on the way.
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE target_lock SET beat_at = beat_at - interval '1 hour'")
            )

        async def refused() -> None:
            with pytest.raises(TargetLocked):
                async with other.target_lock(MIRROR.target):
                    pass

        await lock.hold(refused())
        await lock.check()


async def test_a_program_of_the_version_before_keeps_its_lock(
    recorder: PostgresRecorder, url: str, quick: None
) -> None:
    key = lock_holder.KEY.replace("%s", f"'{MIRROR.target}'")
    run = await begin(recorder)
    with psycopg.connect(conninfo(url), autocommit=True) as earlier:
        earlier.execute(f"SELECT pg_advisory_lock({key})".encode())
        with pytest.raises(TargetLocked, match="an earlier version of mirror"):
            async with recorder.target_lock(MIRROR.target):
                pass
        assert close_dead_runs(url) == ()
    assert close_dead_runs(url) == (run,)


async def test_a_login_that_can_only_read_closes_nothing_and_is_no_error(
    recorder: PostgresRecorder, url: str, engine: sa.Engine
) -> None:
    await begin(recorder)
    assert close_dead_runs(url.replace("://postgres@", "://mirror_readonly@")) == ()
    assert row(engine, "SELECT status FROM sync_run").status == "running"


async def test_so_many_turns_at_a_registry_as_there_may_be_and_others_wait(
    recorder: PostgresRecorder, url: str
) -> None:
    waits: list[str] = []

    def waiting(who: str) -> Callable[[], None]:
        return lambda: waits.append(who)

    async with (
        PostgresRecorder.open(url) as other,
        recorder.turn("hub.test", 2, waiting("first")),
        other.turn("other.test", 1, waiting("elsewhere")),
    ):
        async with other.turn("hub.test", 2, waiting("second")):
            third = asyncio.create_task(_enter(other, waiting("third")))
            while "third" not in waits:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
            assert not third.done()
        await asyncio.wait_for(third, 30)
    assert waits == ["third"]


async def _enter(
    recorder: PostgresRecorder, waiting: Callable[[], None] = lambda: None, most: int = 2
) -> None:
    async with recorder.turn("hub.test", most, waiting):
        pass


@pytest.mark.usefixtures("quick")
async def test_the_turn_of_a_holder_that_is_silent_is_given_to_another(
    recorder: PostgresRecorder, url: str
) -> None:
    async with (
        PostgresRecorder.open(url) as other,
        recorder.turn("hub.test", 1, lambda: None),  # nobody beats
    ):
        await asyncio.wait_for(_enter(other, most=1), 30)
