"""Whatever a registry answers, a call ends soon, with the truth or with an error of the tree.

Set FUZZ_SEED to repeat a run; a failure names its seed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from mirror.registry import (
    Clock,
    ConnectionFailed,
    Credential,
    Descriptor,
    Endpoint,
    HubApi,
    Manifest,
    NotFound,
    ProtocolError,
    Registry,
    RegistryError,
    Repository,
    RetryPolicy,
    TimedOut,
    Timeouts,
    copy_blob,
)
from mirror.registry.spec.digest import digest_of
from mirror.registry.spec.media_type import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.registry.scripted import Script, answer
from tests.support.fake_registry.registry import FakeRegistry

SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
ANSWERS = 2_500
SECONDS = 20.0  # that one call may take; none should come near

SMALL = b"a small blob"
LARGE = bytes(range(256)) * 5000  # more than is held whole
BLOBS = [Descriptor("x", digest_of(data), len(data)) for data in (SMALL, LARGE)]
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": BLOBS[0].digest, "size": BLOBS[0].size},
        "layers": [],
    }
).encode()
IMAGE_DIGEST = digest_of(IMAGE)


async def _no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


IMPATIENT = Clock(sleep=_no_wait)


class Answers:
    """Makes up answers: some right, some nearly, some nonsense."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.given = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.given += 1
        pick = self.chance.choice
        status = pick([200, 200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 405])
        if self.chance.random() < 0.2:
            status = pick([100, 101, 299, 304, 408, 413, 416, 418, 429, 499, 500, 502, 503, 599])
        headers = {
            name: self._value(name)
            for name in self.chance.sample(sorted(_VALUES), self.chance.randint(0, 6))
        }
        return answer(status, self._body(), headers)

    def _body(self) -> bytes:
        good = [
            IMAGE,
            SMALL,
            LARGE,
            b'{"name":"a/b","tags":["1","2"]}',
            b'{"token":"t","expires_in":1}',
            json.dumps({"mediaType": OCI_INDEX, "manifests": []}).encode(),
            b'{"count":1,"results":[{"name":"1","images":[{"size":1}]}],"next":"/v2/x"}',
            b'{"errors":[{"code":"DENIED","message":"no","detail":{"a":[1]}}]}',
        ]
        body = self.chance.choice([*good, *_ODD_BODIES])
        if self.chance.random() < 0.3 and body:
            place = self.chance.randrange(len(body))
            body = self.chance.choice(
                [body[:place], body + b"x", body[:place] + b"\x00" + body[place + 1 :]]
            )
        return body

    def _value(self, name: str) -> str:
        return self.chance.choice(
            [*_VALUES[name], "", "0", "-1", "x" * 3000, '\x7f;,="<>', "9" * 30]
        )


_ODD_BODIES = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"[" * 50_000,
    b"<html><body>Bad Gateway</body></html>",
    b"\xff\xfe\x00",
    b'{"tags":[1,null,"/"]}',
    b'{"tags":{"a":1}}',
    b'{"errors":"x"}',
    b'{"errors":[null,1,{"code":5}]}',
    b'{"manifests":[{"digest":"sha256:0","size":-1}]}',
    b'{"results":[{"name":null}]}',
    b'{"results":5}',
    b'{"size":1e999,"token":["a"]}',
    b"9" * 6000,
    b'{"mediaType":"\\ud800"}',
]
_VALUES: dict[str, list[str]] = {
    "WWW-Authenticate": [
        'Bearer realm="http://a.test/token",service="s"',
        'Bearer realm="http://evil.test/token"',
        'Bearer realm="http://[::1/",scope="repository:a/b:pull"',
        'Basic realm="x"',
        "Bearer realm=,,,",
    ],
    "Location": [
        "/v2/a/b/blobs/uploads/1?_state=x",
        "http://other.test/v2/",
        "http://[",
        "//",
        "ftp://a.test/",
        "http://a.test:99999/",
        "\\\\x",
        "?",
        "/v2/" + "a/" * 500,
    ],
    "Link": ['</v2/a/b/tags/list?n=1&last=2>; rel="next"', "<http://[>;rel=next", "<>", "<a"],
    "Content-Type": [OCI_MANIFEST, OCI_INDEX, "text/html", "a/b; c", "application/json"],
    "Docker-Content-Digest": [IMAGE_DIGEST, "sha256:" + "0" * 64, "sha256:", "md5:abc"],
    "Content-Range": ["bytes 0-11/12", "bytes 5-4/1", "bytes */*", "bytes 3-11/12"],
    "Range": ["0-0", "0-11", "0-99999999", "bytes=0-5", "7-3"],
    "Retry-After": ["1", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 99 Foo"],
    "OCI-Chunk-Min-Length": ["1", "99999999999999"],
    "OCI-Subject": [IMAGE_DIGEST],
    "ratelimit-limit": ["100;w=21600", "a;w=b"],
    "ratelimit-remaining": ["0;w=21600", "76"],
    "Accept-Ranges": ["bytes", "none"],
    "Set-Cookie": ["a=b; Domain=.test; Expires=never", "=;;;"],
}


async def _read(repository: Repository, blob: Descriptor) -> None:
    read = b"".join([piece async for piece in repository.read_blob(blob)])
    assert digest_of(read) == blob.digest, "a blob was given out that is another"


async def _image(repository: Repository, reference: str) -> None:
    manifest = await repository.get_manifest(reference)
    assert manifest.digest == digest_of(manifest.raw)
    assert reference != IMAGE_DIGEST or manifest.raw == IMAGE


async def _head(repository: Repository) -> None:
    found = await repository.head_manifest(IMAGE_DIGEST)
    assert found is None or found.digest == IMAGE_DIGEST


async def _pages(registry: Registry) -> None:
    count = 0
    async for page in HubApi(registry).pages("a/b"):
        assert all(tag.name for tag in page.tags)
        count += 1
        if count > 50:
            return


def _calls(registry: Registry) -> list[Callable[[], Awaitable[object]]]:
    repository, other = registry.repository("a/b"), registry.repository("c/d")
    image = Manifest.parse(IMAGE)
    return [
        registry.ping,
        repository.tags,
        lambda: _head(repository),
        lambda: _image(repository, "1"),
        lambda: _image(repository, IMAGE_DIGEST),
        lambda: repository.put_manifest("1", image),
        lambda: repository.head_blob(BLOBS[0].digest),
        lambda: repository.mount_blob(BLOBS[0].digest, "c/d"),
        lambda: repository.referrers(IMAGE_DIGEST),
        lambda: repository.referrers(IMAGE_DIGEST, "a/b"),
        lambda: repository.delete_manifest(IMAGE_DIGEST),
        lambda: repository.delete_tag("1"),
        *(lambda blob=blob: _read(repository, blob) for blob in BLOBS),
        *(lambda blob=blob: copy_blob(repository, other, blob) for blob in BLOBS),
        lambda: _pages(registry),
    ]


def _client(script: httpx.AsyncBaseTransport) -> Registry:
    known = Credential("someone", "secret", origin="the test")
    endpoint = Endpoint(
        "a.test", insecure=True, hub_api="http://hub.test", credential=lambda repository: known
    )
    return Registry(
        endpoint, transport=script, clock=IMPATIENT, retry=RetryPolicy(attempts=2, patience=5)
    )


async def test_two_thousand_answers_of_any_kind_end_well_or_as_an_error_of_the_tree() -> None:
    chance = random.Random(SEED)
    answers = Answers(chance)
    succeeded = failed = 0
    while answers.given < ANSWERS:
        script = Script()
        script.on("", answers)
        async with _client(script) as registry:
            for _ in range(4):
                call = chance.choice(_calls(registry))
                try:
                    async with asyncio.timeout(SECONDS):
                        await call()
                    succeeded += 1
                except RegistryError as error:
                    failed += 1
                    assert str(error).isprintable(), f"seed {SEED}"
                    assert "secret" not in str(error)
                except BaseException as error:
                    error.add_note(f"FUZZ_SEED={SEED}")
                    raise
        for request in script.seen:
            if request.url.host not in ("a.test",):
                assert "authorization" not in request.headers, f"{request.url}, seed {SEED}"
    assert succeeded > 20, f"seed {SEED}: or else the answers are too bad to get anywhere"
    assert failed > 100


async def test_a_source_that_answers_anything_never_spoils_the_target() -> None:
    chance = random.Random(SEED)
    answers = Answers(chance)
    async with FakeRegistry() as demo, Registry(Endpoint(demo.host, insecure=True)) as target:
        while answers.given < 300:
            script = Script()
            script.on("", answers)
            async with _client(script) as source:
                for blob in BLOBS:
                    with suppress(RegistryError):
                        async with asyncio.timeout(SECONDS):
                            await copy_blob(
                                source.repository("a/b"), target.repository("c/d"), blob
                            )
        for blob in BLOBS:
            held = demo.store.blob("c/d", blob.digest)
            assert held is None or digest_of(held.read()) == blob.digest, f"seed {SEED}"


# What a server may write instead of HTTP, and how a request for 200 ends then.
_BROKEN: dict[bytes, type[RegistryError]] = {
    b"": ConnectionFailed,
    b"HTTP/1.1 200": ConnectionFailed,
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na small blob": ConnectionFailed,
}
_RAW: dict[bytes, type[RegistryError] | None] = {
    **_BROKEN,
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na small blob": None,
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na small blob": ProtocolError,
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n": ProtocolError,
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\na blob": ProtocolError,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\na small blob\r\n0\r\n\r\n": None,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n": ProtocolError,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx": ProtocolError,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n": None,
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc": None,
    b"HTTP/1.1 abc OK\r\n\r\n": ProtocolError,
    b"HTTP/9.9 200 OK\r\n\r\n": ProtocolError,
    b"SSH-2.0-OpenSSH_9.2\r\n": ProtocolError,
    b"\x15\x03\x01\x00\x02\x02\x28": ProtocolError,
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello": ProtocolError,
    b"HTTP/1.1 307 X\r\nLocation: http://[::1]:1/\r\nContent-Length: 0\r\n\r\n": ConnectionFailed,
    b"HTTP/1.1 200 OK\r\nA" * 3000: ProtocolError,
    b"HTTP/1.1 200 OK\r\n: x\r\n\r\n": ProtocolError,
    b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 0\r\n\r\n": None,
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n": NotFound,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n": ProtocolError,
    b"HTTP/1.1 200 OK\r\nSet-Cookie: \x00=\x01\r\nContent-Length: 0\r\n\r\n": ProtocolError,
}


@asynccontextmanager
async def raw_server(write: Callable[[], bytes], end: str, stall: float) -> AsyncIterator[Registry]:
    """A client of a server that writes these bytes, and then closes, resets or falls silent."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(write())
            await writer.drain()
            if end == "reset":
                writer.transport.abort()
            elif end == "close":
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with Registry(
            Endpoint(host, insecure=True, hub_api=f"http://{host}"),
            clock=IMPATIENT,
            retry=RetryPolicy(attempts=1),
            timeouts=Timeouts(connect=20, stall=stall, answer=4 * stall),
        ) as registry:
            yield registry
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize(
    ("raw", "end", "kind"),
    [
        *((raw, "close", kind) for raw, kind in _RAW.items()),
        *((raw, "silence", TimedOut) for raw in _BROKEN),
    ],
    ids=lambda value: repr(value)[:70],
)
async def test_bytes_that_are_not_http_have_one_outcome(
    raw: bytes, end: str, kind: type[RegistryError] | None
) -> None:
    async with raw_server(lambda: raw, end, stall=1 if end == "silence" else 20) as registry:
        if kind is None:
            await registry.ping()
            return
        with pytest.raises(RegistryError) as caught:
            await registry.ping()
    assert type(caught.value) is kind
    assert caught.value.registry == registry.host
    assert "url=" not in str(caught.value), "addresses may be signed"


@pytest.mark.parametrize("end", ["close", "reset", "silence"])
async def test_bytes_that_are_nearly_http_end_as_errors_of_the_tree(end: str) -> None:
    chance = random.Random(SEED)
    outcomes: Counter[type[RegistryError] | None] = Counter()

    def write() -> bytes:
        raw = chance.choice(list(_RAW))
        if raw and chance.random() < 0.3:
            place = chance.randrange(len(raw))
            raw = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
        return raw

    calls = 24 if end == "silence" else 300
    try:
        async with raw_server(write, end, stall=0.05 if end == "silence" else 10) as registry:
            for _ in range(calls):
                try:
                    async with asyncio.timeout(SECONDS):
                        await chance.choice(_calls(registry))()
                    outcomes[None] += 1
                except RegistryError as error:
                    outcomes[type(error)] += 1
                    assert str(error).isprintable()
                    assert error.registry == registry.host
        assert outcomes[None] < calls / 2, f"{outcomes}"
        assert outcomes[ProtocolError] > calls / 6, f"{outcomes}"
        assert end != "silence" or outcomes[TimedOut] > 0, f"{outcomes}"
    except BaseException as error:
        error.add_note(f"FUZZ_SEED={SEED}")
        raise
