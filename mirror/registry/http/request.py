"""What is sent to a registry, what comes back, and what it is about."""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from typing import Final, TypeVar

import httpx

from mirror.outside_text import one_line
from mirror.registry.http import headers
from mirror.registry.spec import ProtocolError, RegistryError, parse_json

E = TypeVar("E", bound=RegistryError)

ADDRESS: Final = "address"  # extension of an httpx response
_PROCESS: Final = token_hex(4)
_numbers: Final = count(1)
LARGE: Final = 256 << 10  # bytes of a body of which only a few are read at once
PIECE: Final = 256 << 10  # a longer body is written in pieces, so as not to block the event loop


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. connect: until a connection is open; stall: between two bytes; answer: for a whole
    request without a blob body."""

    connect: float = 10.0
    stall: float = 30.0
    answer: float = 120.0


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request is about, for error messages."""

    registry: str
    doing: str  # "reading the manifest", "uploading a blob"
    repository: str | None = None
    reference: str | None = None  # a tag or a digest
    origin: str | None = None  # of the credential in use; None: anonymous

    def __str__(self) -> str:
        if self.repository is None:
            return self.registry
        mark = "@" if self.reference and ":" in self.reference else ":"
        tail = f"{mark}{self.reference}" if self.reference else ""
        return f"{self.registry}/{self.repository}{tail}"

    def error(
        self,
        kind: type[E],
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> E:
        """An error of the tree whose message starts with what this is about."""
        return kind(
            f"{self}: {message}",
            registry=self.registry,
            repository=self.repository,
            reference=self.reference,
            status=status,
            code=code,
            transient=transient,
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent several times.

    scopes: what its token must allow. authorize: false for services next to the registry (token
    services, Docker Hub's web API), which get `headers` as they are. fresh_connection: on a new
    connection that is closed afterwards. read_timeout: seconds until the response and between two
    of its bytes, instead of the session's stall timeout. as_stored: the body
    as it came, whatever its Content-Encoding. attempts: at most, instead of the retry policy's.
    answer_in: seconds for the whole response at most. proved: a digest proves the body, wherever it
    comes from. id: for logs, the same for all of its attempts.
    """

    method: str
    url: str
    context: RequestContext
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may be secret
    content: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    authorize: bool = True
    fresh_connection: bool = False
    read_timeout: float | None = None
    as_stored: bool = False
    attempts: int | None = None
    answer_in: float = math.inf
    proved: bool = False
    id: str = field(default_factory=lambda: f"{_PROCESS}-{next(_numbers)}", compare=False)

    @property
    def replayable(self) -> bool:
        """Whether it can be sent a second time."""
        return self.content is None or isinstance(self.content, bytes)


@dataclass(frozen=True, slots=True)
class Response:
    """A response with its whole body. `url` is where it came from, after redirects."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str


def http_url(text: str) -> httpx.URL | None:
    """An absolute http or https address; None for anything else."""
    return resolve(text, "")


def resolve(reference: str, base: str) -> httpx.URL | None:
    """The http or https address that a Location or Link of a response from `base` leads to.

    None where it is not an address.
    """
    try:
        url = httpx.URL(base).join(reference)
    except (httpx.InvalidURL, ValueError):
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def origin(address: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what Authorization belongs to. Raises httpx.InvalidURL."""
    url = httpx.URL(address)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, port


def host_of(address: str) -> str:
    """`host[:port]` of an address, for messages; empty for anything else."""
    url = http_url(address)
    return url.netloc.decode("ascii") if url else ""


def address_of(response: httpx.Response) -> str:
    """The address that the response came from, after redirects."""
    return str(response.extensions[ADDRESS])


def redirect_target(response: httpx.Response) -> str:
    """Where a redirect leads; raises RemoteProtocolError where that is not an address."""
    location = response.headers["location"]
    target = resolve(location, address_of(response))
    if target is None:
        raise httpx.RemoteProtocolError(f"a redirect to no address ({one_line(location, 200)!r})")
    return str(target)


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    """A body as pieces of at most PIECE bytes."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


async def read_body(
    response: httpx.Response, most: int, request: Request, large: asyncio.Semaphore
) -> bytes:
    """The whole body, as it came; raises ProtocolError where it has more than `most` bytes.

    large: held while more than LARGE bytes of it are there.
    """
    stated = headers.length(response.headers.get("content-length"))
    body = bytearray()
    async with AsyncExitStack() as held:
        pieces = response.aiter_raw() if stated is None or stated <= most else _nothing()
        async for piece in pieces:
            if len(body) <= LARGE < len(body) + len(piece):
                await held.enter_async_context(large)
            body += piece
            if len(body) > most:
                break
    if len(body) > most or (stated is not None and stated > most):
        context = request.context
        raise context.error(
            ProtocolError,
            f"a response of more than {most} bytes while {context.doing}: not read",
            status=response.status_code,
        )
    return bytes(body)


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


def decoded(body: bytes, encoding: str, most: int) -> bytes:
    """A body by its Content-Encoding: some proxies compress though identity was asked for.

    gzip and deflate (RFC 9110, 8.4.1), of `most` bytes at most once decoded. Raises ValueError for
    other codings, for what is cut or broken, and for more bytes.
    """
    for coding in reversed([one.strip().lower() for one in encoding.split(",") if one.strip()]):
        if coding == "identity":
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"it came {one_line(coding, 40)}-encoded, which was not asked for")
        body = _inflated(body, coding, most)
    return body


def _inflated(body: bytes, coding: str, most: int) -> bytes:
    windows = (zlib.MAX_WBITS, -zlib.MAX_WBITS) if coding == "deflate" else (zlib.MAX_WBITS | 16,)
    for window in windows:  # deflate is sent with and without zlib's header
        stream = zlib.decompressobj(window)
        try:
            plain = stream.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(plain) > most:
            raise ValueError(f"it came {coding}-encoded and has more than {most} bytes")
        if stream.eof:
            return plain
    raise ValueError(f"it came {coding}-encoded, and cut or broken")


def is_cut(body: bytes) -> bool:
    """Whether a body looks like JSON that was cut: it starts as JSON and is none."""
    if not body.strip():
        return True
    if body.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        parse_json(body)
    except ValueError as error:
        return isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
    return False


def excerpt(body: bytes, limit: int = 160) -> str:
    """What came, for a message: escaped and cut."""
    return repr(one_line(body[: 64 << 10].decode("utf-8", "replace"), limit))
