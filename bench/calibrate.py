"""Is a link what it says? Measures round trip, connection set-up and rates through the emulator."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.process import LinkProcess
from bench.shape import MEGABIT, Shape

PIECE = 64 * 1024
HEADER = 17
"""One letter (d: send me bytes, u: take my bytes) and a size in 16 digits."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A link as it was measured."""

    nominal: Shape
    round_trip: float  # seconds, on a connection that is open
    first_answer: float  # seconds from dialling to the first answer: two round trips
    down: float  # bytes/s of all connections together
    up: float
    one_down: float  # bytes/s of one connection
    one_up: float

    def __str__(self) -> str:
        return (
            f"{self.nominal}: round trip {self.round_trip * 1000:.1f} ms, first answer"
            f" {self.first_answer * 1000:.1f} ms, down {self.down / MEGABIT:.1f} and up"
            f" {self.up / MEGABIT:.1f} Mbit/s, one connection {self.one_down / MEGABIT:.1f} and"
            f" {self.one_up / MEGABIT:.1f}"
        )


def exactly(connection: socket.socket, size: int) -> None:
    """Read and drop `size` bytes."""
    buffer = bytearray(PIECE)
    while size:
        got = connection.recv_into(buffer, min(size, PIECE))
        if not got:
            raise ConnectionError(f"{size} bytes short")
        size -= got


def _answer(connection: socket.socket) -> None:
    with connection, suppress(ConnectionError):  # a link may break, a client may leave
        while header := connection.recv(HEADER, socket.MSG_WAITALL):
            size = int(header[1:])
            if header[:1] == b"u":
                exactly(connection, size)
                connection.sendall(b".")
            else:
                for at in range(0, size, PIECE):
                    connection.sendall(bytes(min(PIECE, size - at)))


@contextmanager
def peer() -> Iterator[int]:
    """A server that sends or takes as many bytes as it is asked to; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def ask(connection: socket.socket, letter: str, size: int) -> float:
    """One exchange; seconds until its last byte."""
    began = time.perf_counter()
    connection.sendall(f"{letter}{size:016d}".encode())
    if letter == "u":
        connection.sendall(bytes(size))
        exactly(connection, 1)
    else:
        exactly(connection, size)
    return time.perf_counter() - began


def calibrate(shape: Shape, log: Path, seconds: float = 1.0, connections: int = 8) -> Reading:
    """Measure a link of `shape`, moving in each test what nominally takes `seconds`.

    The latency of an exchange (a round trip) is subtracted before a rate is computed.
    """
    total = shape.rate or 100e6
    one = min(total, shape.connection_rate or total)
    shared = min(total, one * connections)

    with peer() as port, LinkProcess(port, log, shape) as link:

        def rate(letter: str, expected: float, count: int) -> float:
            size = int(expected * seconds / count)
            opened = [socket.create_connection(("127.0.0.1", link.port)) for _ in range(count)]
            for connection in opened:
                ask(connection, "d", 1)
            with ThreadPoolExecutor(count) as pool:
                # From the first one's start: on a busy machine the others may start later.
                began = time.perf_counter()
                list(pool.map(lambda each: ask(each, letter, size), opened))
                taken = time.perf_counter() - began
            for connection in opened:
                connection.close()
            return size * count / (taken - shape.round_trip)

        def first() -> float:
            began = time.perf_counter()
            with socket.create_connection(("127.0.0.1", link.port)) as connection:
                ask(connection, "d", 1)
            return time.perf_counter() - began

        with socket.create_connection(("127.0.0.1", link.port)) as connection:
            ask(connection, "d", 1)
            trips = [ask(connection, "d", 1) for _ in range(9)]
        return Reading(
            shape,
            median(trips),
            median(first() for _ in range(5)),
            down=rate("d", shared, connections),
            up=rate("u", shared, connections),
            one_down=rate("d", one, 1),
            one_up=rate("u", one, 1),
        )
