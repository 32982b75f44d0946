"""The trials: what a hostile registry does, and the bound that ends it."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Content, Image, digest_of
from hostile.server import Answer, Instead, stream, whole
from hostile.stage import BAD, SOURCE, Scene

_PIECE = b" " * (256 << 10)
_JSON = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Trial:
    """prepare: makes the registry hostile. good: the other tag of the run must arrive."""

    name: str
    bound: str
    prepare: Callable[[Scene], None]
    good: bool = True


def _to(pattern: str, answer: Instead) -> Callable[[Scene], None]:
    """Answer requests whose `METHOD path` matches in place of the registry."""

    def prepare(scene: Scene) -> None:
        async def instead(request: web.BaseRequest) -> web.StreamResponse | None:
            wanted = pattern.replace("BAD", scene.bad.digest)
            if re.search(wanted, f"{request.method} {request.path}"):
                return await answer(request)
            return None

        scene.source.instead = instead

    return prepare


def _said(status: int, body: bytes, *headers: tuple[str, str]) -> Instead:
    return lambda request: whole(request, Answer(status, headers or _JSON, body))


async def _endless(request: web.BaseRequest) -> web.StreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"tags": ["a"'
        while True:
            yield _PIECE

    return await stream(request, pieces(), Content_Type=mediatypes.OCI_INDEX)


def _drip(status: int) -> Instead:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100_000):
                yield b" "
                await asyncio.sleep(1)

        return await stream(request, pieces(), status=status, Content_Length="100000")

    return answer


def _pages(page: Callable[[int], dict[str, Any]], kind: str = "application/json") -> Instead:
    """Pages without end: `next` in the body and in Link."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        number = int(request.query.get("at", "0"))
        following = f"{request.path}?at={number + 1}"
        body = {**page(number), "next": f"http://{request.host}{following}"}
        headers = (("Content-Type", kind), ("Link", f'<{following}>; rel="next"'))
        return await whole(request, Answer(200, headers, json.dumps(body).encode()))

    return answer


def _made_up(prefix: str, count: int, kind: str = mediatypes.OCI_LAYER) -> list[dict[str, Any]]:
    return [
        {"mediaType": kind, "digest": digest_of(f"{prefix}/{at}".encode()), "size": 10}
        for at in range(count)
    ]


def _referrers(number: int) -> dict[str, Any]:
    listed = _made_up(f"r{number}", 40, mediatypes.OCI_MANIFEST)
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": listed}


def _bad_is(*images: Callable[[int], Content], tags: int = 1) -> Callable[[Scene], None]:
    """The tag BAD, and more like it, is a manifest of this content."""

    def prepare(scene: Scene) -> None:
        for number in range(tags):
            content = images[0](number)
            scene.put(BAD if not number else f"{BAD}-{number}", Image(content))

    return prepare


def _manifest(document: dict[str, Any], kind: str) -> Content:
    return Content.of(json.dumps({"schemaVersion": 2, **document}).encode(), kind)


def _layers(count: int) -> Callable[[int], Content]:
    def make(number: int) -> Content:
        config, *layers = _made_up(f"l{number}", count)
        return _manifest({"config": config, "layers": layers}, mediatypes.OCI_MANIFEST)

    return make


def _million(_: int) -> Content:
    entries = [{"mediaType": "x", "digest": f"sha256:{at:064x}", "size": 1} for at in range(10**6)]
    return _manifest({"manifests": entries}, mediatypes.OCI_INDEX)


def _stuffed(number: int) -> Content:
    """7.9 MiB of tiny values, which take many times that once parsed."""
    return _manifest({"manifests": [], "n": number, "x": [[]] * 2_000_000}, mediatypes.OCI_INDEX)


def _padded(number: int) -> Content:
    """3.9 MiB that are a valid index, one of many."""
    return _manifest(
        {"manifests": [], "x": f"{number}" + "y" * (3_900 << 10)}, mediatypes.OCI_INDEX
    )


def _nested(scene: Scene) -> None:
    """An index of 256 indexes of 4,096 indexes each."""
    children = []
    for number in range(256):
        listed = _made_up(f"n{number}", 4_096, mediatypes.OCI_INDEX)
        content = _manifest({"manifests": listed}, mediatypes.OCI_INDEX)
        scene.put(None, Image(content, (content,)))
        children.append(content.descriptor())
    scene.put(BAD, Image(_manifest({"manifests": children}, mediatypes.OCI_INDEX)))


def _deep(scene: Scene) -> None:
    content = scene.good.root
    for _ in range(1_000):
        content = _manifest({"manifests": [content.descriptor()]}, mediatypes.OCI_INDEX)
        scene.put(None, Image(content))
    scene.put(BAD, Image(content))


def _hub_pages(scene: Scene) -> None:
    scene.hub = True
    names = _pages(lambda n: {"count": 9, "results": [{"name": f"t{n}-{at}"} for at in range(100)]})
    _to(r"GET /v2/namespaces/", names)(scene)
    scene.web_api.instead, scene.source.instead = scene.source.instead, None


def _tags(count: int) -> Callable[[Scene], None]:
    listed = {"name": SOURCE, "tags": ["good", *(f"t{at}" for at in range(count))]}
    return _to(r"GET /v2/.*/tags/list", _said(200, json.dumps(listed).encode()))


async def _loop(request: web.BaseRequest) -> web.StreamResponse:
    to = f"http://{request.host}{request.path}?{random.random()}"
    return await whole(request, Answer(307, (("Location", to),)))


async def _wide_headers(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    for number in range(20_000):
        response.headers.add(f"X-{number}", "y" * 1_000)
    await response.prepare(request)
    return response


async def _endless_headers(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000_000):
        if request.transport.is_closing():
            break
        request.transport.write(b"X-%d: %s\r\n" % (number, b"y" * 1_000))
        await asyncio.sleep(0)
    raise ConnectionResetError


def _target(prepare: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """The same, of the target."""

    def turned(scene: Scene) -> None:
        prepare(scene)
        scene.source.instead, scene.target.instead = None, scene.source.instead

    return turned


_ESCAPES = json.dumps({"errors": [{"code": "DENIED", "message": "\x1b[31m\u202e" * 300_000}]})
_BOMB = gzip.compress(b" " * (400 << 20), 1)
_GZIPPED = (("Content-Type", mediatypes.OCI_INDEX), ("Content-Encoding", "gzip"))
_BAD_MANIFEST = r"GET /v2/.*/manifests/(bad|BAD)$"
_LIST = r"GET /v2/.*/tags/list"
_UPLOADS = r"(POST|PUT|PATCH) /v2/.*/blobs/uploads"


def _all() -> Iterator[Trial]:
    yield Trial(
        *("referrers without end", "2,000 of a manifest"),
        _to("GET /v2/.*/referrers/BAD", _pages(_referrers, mediatypes.OCI_INDEX)),
    )
    yield Trial("Docker Hub pages without end", "250,000 tags", _hub_pages, good=False)
    one = _pages(lambda number: {"tags": [f"t{number}"]})
    yield Trial("Link without end, one new tag a page", "5,000 pages", _to(_LIST, one), good=False)
    many = _pages(lambda number: {"tags": [f"t{number}-{at}" for at in range(1_000)]})
    yield Trial(
        *("Link without end, 1,000 tags a page", "250,000 tags", _to(_LIST, many)), good=False
    )
    yield Trial("a page of tags without end", "32 MiB", _to(_LIST, _endless), good=False)
    yield Trial("10,000 tags that are not there", "256 at once", _tags(10_000))
    yield Trial(
        *("a manifest of 100 MB", "8 MiB"), _to(_BAD_MANIFEST, _said(200, b" " * (100 << 20)))
    )
    yield Trial("a manifest without end", "8 MiB", _to(_BAD_MANIFEST, _endless))
    yield Trial("a gzip bomb of 400 MB", "8 MiB", _to(_BAD_MANIFEST, _said(200, _BOMB, *_GZIPPED)))
    yield Trial("55,000 absent layers", "4,096 in a manifest", _bad_is(_layers(55_000)))
    yield Trial("4,096 absent layers", "256 at once", _bad_is(_layers(4_096)))
    yield Trial("an index of a million", "8 MiB", _bad_is(_million))
    yield Trial("64 indexes of 2 million empty lists", "500,000 values", _bad_is(_stuffed, tags=64))
    yield Trial("64 indexes of 3.9 MiB", "held bytes", _bad_is(_padded, tags=64))
    yield Trial("256 indexes of 4,096 indexes each", "20,000 descriptors of a tag", _nested)
    yield Trial("indexes 1,000 deep", "none: copied", _deep)
    yield Trial(
        "a layer at a byte a second", "1 kB/s", _to("GET /v2/.*/blobs/", _drip(200)), good=False
    )
    yield Trial("a list at a byte a second", "1 kB/s", _to(_LIST, _drip(200)), good=False)
    yield Trial("an error at a byte a second", "1 kB/s", _to(_BAD_MANIFEST, _drip(500)))
    yield Trial("an error without end", "64 KiB", _to(_BAD_MANIFEST, lambda r: _endless_error(r)))
    yield Trial(
        "3 MB of escapes in an error",
        "64 KiB, one line",
        _to(_BAD_MANIFEST, _said(403, _ESCAPES.encode())),
    )
    yield Trial("redirects in a circle", "5", _to(_BAD_MANIFEST, _loop))
    yield Trial("20 MB of headers", "aiohttp's", _to(_BAD_MANIFEST, _wide_headers))
    yield Trial("headers without end", "aiohttp's", _to(_BAD_MANIFEST, _endless_headers))
    yield Trial(
        *("429 with Retry-After of a year", "2 minutes"),
        _to("/v2/", _said(429, b"", ("Retry-After", "31536000"))),
        good=False,
    )
    yield Trial(
        *("the target answers uploads without end", "64 KiB"),
        _target(_to(_UPLOADS, lambda r: _endless_error(r))),
        good=False,
    )
    yield Trial(
        *("the target lists tags without end", "250,000 tags"),
        _target(_to(_LIST, many)),
    )


async def _endless_error(request: web.BaseRequest) -> web.StreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield _PIECE

    await request.read()
    return await stream(request, pieces(), status=500)


TRIALS = tuple(_all())
