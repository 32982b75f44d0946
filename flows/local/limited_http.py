"""uvicorn with limits, for a server that strangers reach.

A connection has HEADER_SECONDS to send a request's head and REQUEST_SECONDS to be served. When
there are as many connections as the process can afford, the one that has waited longest without
a request makes room: half-open ones cannot keep a proper one out. Errors are logged at a bounded
rate.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from flows.local.resting_uvicorn import RestingServer

HEADER_SECONDS = 10.0
REQUEST_SECONDS = 120.0
IDLE_SECONDS = 15  # between two requests
HEAD_BYTES = 16 * 1024  # request line and header fields together
CONNECTIONS = 400
_DESCRIPTORS_KEPT = 64  # of other things: the database, Prefect, libraries
LOG_LINES = 20  # a minute
_LOGGERS = ("uvicorn.error", "asyncio")
_LOG = logging.getLogger("uvicorn.error")
_PAUSE_SECONDS = 0.1  # after an accept that failed


def affordable() -> int:
    """How many connections the process may hold. Each may open a file as well."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return min(CONNECTIONS, max(8, (soft - _DESCRIPTORS_KEPT) // 2))


class LimitedProtocol(H11Protocol):
    """One connection, which is closed when it takes too long or its place is needed."""

    _deadline: asyncio.TimerHandle | None = None
    _waiting_since: float | None = None  # None: a request is being served

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request, and make room if there are too many connections."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > affordable():
            waiting = [
                each
                for each in self.connections
                if isinstance(each, LimitedProtocol) and each._waiting_since is not None
            ]
            min(waiting, key=lambda each: each._waiting_since or 0.0).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Go on with the request; a head that is incomplete does not extend its deadline."""
        super().data_received(data)
        served: RequestResponseCycle | None = self.cycle
        if served is not None and not served.response_complete:
            if self._waiting_since is not None:
                self._waiting_since = None
                self._limit(REQUEST_SECONDS)
        elif self._waiting_since is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn closes the connection if none begins."""
        super().on_response_complete()
        self._waiting_since = None
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._forget()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting_since = self.loop.time()
        self._limit(HEADER_SECONDS)

    def _limit(self, seconds: float) -> None:
        self._forget()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class BoundedLog(logging.Filter):
    """Lets so many records a minute through; the first of the next minute says how many more."""

    def __init__(self, most: int = LOG_LINES) -> None:
        super().__init__()
        self._most = most
        self._minute, self._passed, self._dropped = 0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if (minute := int(time.monotonic() // 60)) != self._minute:
            if self._dropped:
                record.msg = f"{record.msg} ({self._dropped} more messages in the minute before)"
            self._minute, self._passed, self._dropped = minute, 0, 0
        self._passed += 1
        self._dropped += self._passed > self._most
        return self._passed <= self._most


class _Server(RestingServer):
    """Accepts one connection after another: asyncio accepts in batches, past the descriptors."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []
        self._accepting = asyncio.create_task(self._accept(*(sockets or ())))
        self.started = True
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the program's

    def _protocol(self) -> asyncio.Protocol:
        return LimitedProtocol(self.config, self.server_state, {})

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
                await loop.connect_accepted_socket(self._protocol, accepted)
            except OSError as error:  # the client has gone, or there is no descriptor
                _LOG.error("a connection was not accepted: %s", error.strerror)
                await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[None]:
    """Serve an application at host:port inside the block. Raises OSError if it cannot listen."""
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bounded = BoundedLog()
    with socket.create_server((host, port), family=family, backlog=128) as listening:
        listening.setblocking(False)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(bounded)
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await server.up.wait()
            yield
        finally:
            server.should_exit = True
            await running
            for name in _LOGGERS:
                logging.getLogger(name).removeFilter(bounded)
