"""A link emulator: a TCP proxy with a round trip, shared rates and connections that break.

`python -m bench.link HOST:PORT [SHAPE_JSON]` serves on a free port of HOST, which it prints.
Each line on its standard input is a new shape as JSON, or empty; it answers each with one line of
traffic counters (since the last shape), and ends when its input ends, so it cannot outlive its
harness.

How it emulates. Each direction keeps a virtual clock: the moment until which the link is busy.
Connections with something to send are served round robin, a slice at a time, as fair queueing
would; a slice of n bytes moves the clock by n / rate and arrives half a round trip after it has
left. A timer that fires late serves what has become due since, so a busy machine adds jitter and
costs no throughput. What a connection may have under way is bounded (its window), so a reader
that stops reads stops the writer. Opening a connection costs one round trip, as TCP's handshake
does; slow start and loss are not emulated.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import socket
import struct
import sys
from collections import deque
from dataclasses import asdict
from time import monotonic
from typing import cast

import uvloop

from bench.shape import UNSHAPED, Shape, Traffic

SLICE = 16 * 1024
"""Bytes served at a time: 1.3 ms at 100 Mbit/s."""
LEAST_WINDOW = 512 * 1024
"""Bytes that a connection may have under way on a short link."""
FAST = 125e6
"""bytes/s that a connection on a link of any rate is to reach in spite of the round trip."""
EARLY = 0.0005
"""Seconds by which a timer may be anticipated: half of uvloop's timer resolution of 1 ms. For the
same reason the clock is `monotonic`: the loop's own time is a cached millisecond."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST."""


class Lane:
    """One direction of one connection."""

    __slots__ = ("backlog", "free_at", "half", "sent", "sink", "slices", "stalled", "waiting")

    def __init__(self, half: Half, free_at: float) -> None:
        self.half = half  # where the bytes come from
        self.sink: asyncio.Transport | None = None  # where they go
        self.slices: deque[memoryview | None] = deque()  # None: the end of the stream
        self.free_at = free_at
        self.backlog = 0  # bytes read and not yet written
        self.sent = 0
        self.waiting = False  # known to the direction as having something to send
        self.stalled = True  # the receiver is not there yet, or does not read


class Direction:
    """All lanes of one direction: the clock, the queues and the delay line."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.shape = UNSHAPED
        self.carried = 0
        self._loop = loop
        self._clock = 0.0
        self._order = itertools.count()
        self._ready: deque[Lane] = deque()
        self._later: list[tuple[float, int, Lane]] = []
        self._line: list[tuple[float, int, Lane, memoryview | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def window(self) -> int:
        """Bytes that one connection may have under way: four times what fills the link."""
        return int(max(LEAST_WINDOW, 4 * (self.shape.rate or FAST) * self.shape.round_trip))

    def offer(self, lane: Lane) -> None:
        """Take note that a lane has something to send."""
        if not lane.waiting and not lane.stalled and lane.slices:
            lane.waiting = True
            lane.free_at = max(lane.free_at, monotonic())
            heapq.heappush(self._later, (lane.free_at, next(self._order), lane))
            self._work()

    def _work(self) -> None:
        horizon = monotonic() + EARLY
        self._serve(horizon)
        while self._line and self._line[0][0] <= horizon:
            _, _, lane, piece = heapq.heappop(self._line)
            self._deliver(lane, piece)
        self._schedule()

    def _serve(self, horizon: float) -> None:
        rate, capped = self.shape.rate, self.shape.connection_rate
        while self._clock <= horizon:
            while self._later and self._later[0][0] <= self._clock:
                self._ready.append(heapq.heappop(self._later)[2])
            if not self._ready:
                if not self._later or self._later[0][0] > horizon:
                    return
                self._clock = self._later[0][0]
                continue
            lane = self._ready.popleft()
            lane.waiting = False
            if lane.stalled or not lane.slices:
                continue
            piece = lane.slices.popleft()
            size = 0 if piece is None else len(piece)
            began = self._clock
            if rate:
                self._clock += size / rate
            leaves = self._clock
            if capped:
                lane.free_at = max(lane.free_at, began) + size / capped
                leaves = max(leaves, lane.free_at)
            arrives = leaves + self.shape.round_trip / 2
            heapq.heappush(self._line, (arrives, next(self._order), lane, piece))
            if lane.slices:
                lane.waiting = True
                if lane.free_at <= self._clock:
                    self._ready.append(lane)
                else:
                    heapq.heappush(self._later, (lane.free_at, next(self._order), lane))

    def _deliver(self, lane: Lane, piece: memoryview | None) -> None:
        sink = lane.sink
        if sink is None or sink.is_closing():
            return
        if piece is None:
            lane.half.ended(sink)
            return
        sink.write(piece)
        self.carried += len(piece)
        lane.sent += len(piece)
        lane.backlog -= len(piece)
        limit = self.shape.break_after
        if limit is not None and lane.sent >= limit:
            lane.half.pair.reset()
        elif lane.backlog < self.window() // 2:
            lane.half.read_on()

    def _schedule(self) -> None:
        due = []
        if self._line:
            due.append(self._line[0][0])
        if self._ready:
            due.append(self._clock)
        elif self._later:
            due.append(max(self._clock, self._later[0][0]))
        if not due:
            return
        at = min(due)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._work()


class Half(asyncio.Protocol):
    """One end of a proxied connection: reads into its own lane, is written to by the other's."""

    def __init__(self, pair: Pair, direction: Direction, back: Direction, free_at: float) -> None:
        self.pair = pair
        self.lane = Lane(self, free_at)
        self.other: Half | None = None
        self._direction = direction
        self._back = back
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._delivered = False  # the end of the stream has

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self.pair.opened(self, self._transport)

    def data_received(self, data: bytes) -> None:
        view, lane = memoryview(data), self.lane
        lane.slices.extend(view[at : at + SLICE] for at in range(0, len(view), SLICE))
        lane.backlog += len(view)
        if lane.backlog > self._direction.window() and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()
        self._direction.offer(lane)

    def eof_received(self) -> bool:
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.lane.stalled = True

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.lane.stalled = False
            self._back.offer(self.other.lane)

    def read_on(self) -> None:
        """The backlog has drained: let the sender send."""
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def ended(self, sink: asyncio.Transport) -> None:
        """The end of this half's stream has arrived at the other side."""
        self._delivered = True
        if self._transport is None or self._transport.is_closing():
            sink.close()
        elif self.other is not None and self.other._delivered:
            sink.close()
            self._transport.close()
        else:
            sink.write_eof()

    def _end(self) -> None:
        self.lane.slices.append(None)
        self._direction.offer(self.lane)


class Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, link: Link) -> None:
        now = monotonic()
        self._link = link
        self._transports: list[asyncio.Transport] = []
        self.client = Half(self, link.up, link.down, now + link.up.shape.round_trip)
        self.server = Half(self, link.down, link.up, now)
        self.client.other, self.server.other = self.server, self.client

    def opened(self, half: Half, transport: asyncio.Transport) -> None:
        """Both lanes learn where they lead to; the server is dialled when the client is there."""
        self._transports.append(transport)
        if half.other is not None:
            half.other.lane.sink = transport
            half.resume_writing()
        if half is self.client:
            self._link.dial(self)

    def reset(self) -> None:
        """Break the connection as a line does: both sides see a reset."""
        self._link.broken += 1
        self.abandon()

    def abandon(self) -> None:
        """Reset both sides."""
        for transport in self._transports:
            if not transport.is_closing():
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET
                )
                transport.abort()


class Link:
    """The listener, the two directions and the counters."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self.loop = loop
        self.up = Direction(loop)
        self.down = Direction(loop)
        self.connections = 0
        self.broken = 0
        self._server = (host, port)
        self._dialling: set[asyncio.Task[None]] = set()

    def shape(self, shape: Shape) -> None:
        """Be like this from now on, and count anew."""
        self.up.shape = self.down.shape = shape
        self.up.carried = self.down.carried = self.connections = self.broken = 0

    def accept(self) -> asyncio.Protocol:
        """The protocol of a new client."""
        self.connections += 1
        return Pair(self).client

    def dial(self, pair: Pair) -> None:
        """Open the server's side of a pair; what the client sends meanwhile waits in its lane."""
        task = self.loop.create_task(self._dial(pair))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, pair: Pair) -> None:
        try:
            await self.loop.create_connection(lambda: pair.server, *self._server)
        except OSError:
            pair.abandon()

    def traffic(self) -> Traffic:
        """The counters."""
        return Traffic(self.connections, self.up.carried, self.down.carried, self.broken)


async def serve(host: str, port: int, shape: Shape) -> None:
    """Emulate until standard input ends."""
    loop = asyncio.get_running_loop()
    link = Link(loop, host, port)
    link.shape(shape)
    listener = await loop.create_server(link.accept, host, 0, backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        told = json.dumps(asdict(link.traffic()))
        if line.strip():
            link.shape(Shape.from_json(line.decode()))
        print(told, flush=True)


def main(arguments: list[str]) -> None:
    """HOST:PORT [SHAPE_JSON]."""
    host, _, port = arguments[0].rpartition(":")
    shape = Shape.from_json(arguments[1]) if len(arguments) > 1 else UNSHAPED
    uvloop.run(serve(host, int(port), shape))


if __name__ == "__main__":
    main(sys.argv[1:])
