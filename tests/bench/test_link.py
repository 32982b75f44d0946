"""The emulated link is what it says it is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.calibrate import ask, calibrate, peer
from bench.process import LinkProcess
from bench.shape import MEGABIT, UNSHAPED, Shape

TRIES = 30  # at a quiet machine the first one does; on a busy one few are quick enough
NOMINAL = 0.95
"""Of the nominal rate, at least, in the best try; `make bench` prints what it measures itself."""


@pytest.fixture
def link(tmp_path: Path) -> Iterator[LinkProcess]:
    with peer() as port, LinkProcess(port, tmp_path / "log") as process:
        yield process


def dial(link: LinkProcess) -> socket.socket:
    """A connection through the link that has paid for its handshake."""
    connection = socket.create_connection(("127.0.0.1", link.port))
    ask(connection, "d", 1)
    return connection


@pytest.mark.parametrize(
    "shape", [Shape.of(30, 200), Shape.of(60, 100), Shape.of(30, 400, 20)], ids=str
)
def test_a_link_has_the_nominal_round_trip_and_rates(shape: Shape, tmp_path: Path) -> None:
    one = min(shape.rate or 0, shape.connection_rate or 1e12)
    shared = min(shape.rate or 0, 8 * one)
    best: dict[str, float] = {}
    late = {"round trip": 1.0, "first answer": 1.0}  # seconds
    for _ in range(TRIES):
        reading = calibrate(shape, tmp_path / "log", seconds=0.5)
        # A busy machine is slower than the link would be; the link must never be faster.
        assert max(reading.down, reading.up) < 1.05 * shared
        assert max(reading.one_down, reading.one_up) < 1.05 * one
        assert reading.round_trip > shape.round_trip - 0.002
        assert reading.first_answer > 2 * shape.round_trip - 0.002
        for name, rate in (
            ("down", reading.down / shared),
            ("up", reading.up / shared),
            ("one down", reading.one_down / one),
            ("one up", reading.one_up / one),
        ):
            best[name] = max(best.get(name, 0.0), rate)
        late["round trip"] = min(late["round trip"], reading.round_trip - shape.round_trip)
        late["first answer"] = min(
            late["first answer"], reading.first_answer - 2 * shape.round_trip
        )
        if min(best.values()) > NOMINAL and late["round trip"] < 0.01:
            break
    assert min(best.values()) > NOMINAL, best
    assert late["round trip"] < 0.01
    assert late["first answer"] < 0.02


def test_connections_share_the_rate_fairly(link: LinkProcess) -> None:
    link.shape(Shape.of(10, 80))
    connections = [dial(link) for _ in range(4)]
    for _ in range(TRIES):
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(lambda each: ask(each, "d", 1_250_000), connections))
        assert max(taken) > 0.459  # together they never get more than the link's rate
        if max(taken) < 0.561 and min(taken) > 0.85 * max(taken):
            break
    for connection in connections:
        connection.close()

    assert max(taken) < 0.561, "one of four waited for the others"
    assert min(taken) > 0.85 * max(taken)


def test_a_small_exchange_does_not_queue_behind_a_large_one(link: LinkProcess) -> None:
    link.shape(Shape.of(20, 40))
    with dial(link) as large, dial(link) as small, ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(ask, large, "d", 5_000_000)
        time.sleep(0.2)
        taken = ask(small, "d", 1000)
        assert not under_way.done()
        assert under_way.result() == pytest.approx(1.02, rel=0.1)

    assert taken < 0.1


def test_a_connection_breaks_after_so_many_bytes_either_way(link: LinkProcess) -> None:
    link.shape(Shape(break_after=1_000_000))
    for letter in "du":
        with dial(link) as connection:
            ask(connection, letter, 500_000)
            with pytest.raises(ConnectionError):
                ask(connection, letter, 2_000_000)

    assert link.traffic().broken == 2


def test_traffic_is_counted_since_the_link_was_shaped(link: LinkProcess) -> None:
    with dial(link) as connection:
        ask(connection, "u", 70_000)
        before = link.shape(UNSHAPED)
        ask(connection, "d", 30_000)
        after = link.traffic()

    assert (before.connections, before.to_server, before.to_client) == (1, 70_034, 2)
    assert (after.connections, after.to_server, after.to_client) == (0, 17, 30_000)


def test_a_reader_that_stops_reading_stops_the_writer(link: LinkProcess) -> None:
    link.shape(Shape.of(1, 800))
    with dial(link) as connection:
        connection.sendall(b"d%016d" % 60_000_000)
        time.sleep(0.5)
        carried = link.traffic().to_client

    assert carried < 20_000_000


def test_the_end_of_a_stream_passes_through(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def listen() -> None:
            connection, _ = listener.accept()
            with connection:
                while piece := connection.recv(1000):
                    heard.append(piece)
                connection.sendall(b"heard")

        thread = threading.Thread(target=listen)
        thread.start()
        with (
            LinkProcess(listener.getsockname()[1], tmp_path / "log", Shape.of(10)) as link,
            socket.create_connection(("127.0.0.1", link.port)) as connection,
        ):
            connection.sendall(b"all of it")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b"heard"
            assert connection.recv(100) == b""
        thread.join()

    assert b"".join(heard) == b"all of it"


def test_rates_are_told_in_the_units_of_links() -> None:
    shape = Shape.of(60, 200, 20, 15_000_000)

    assert shape.rate == 200 * MEGABIT == 25_000_000
    assert Shape.from_json(shape.to_json()) == shape
    assert str(shape) == "60 ms, 200 Mbit/s, 20 Mbit/s a connection, breaks every 15 MB"
