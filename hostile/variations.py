"""Answers spoilt by a generator: of every kind of request that a sync sends, in every way.

A variation is drawn from a seed. It spoils the answers to one kind of request of one sync; when
that has ended nothing is spoilt any more, and another sync has to bring what the first could not.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from hostile.figures import Row
from hostile.record import wrongs
from hostile.server import Answer, stream, whole
from hostile.stage import BAD, Scene, Stage, scene_of, staged

SECONDS = 90.0  # that a spoilt sync may take, with the timeouts of a hasty client

# What a request is: side, pattern of `METHOD path?query`, whether it concerns the tag BAD alone.
# BAD_DIGESTS stands for the digests of that tag's manifests and blobs.
_KINDS: dict[str, tuple[str, str, bool]] = {
    "ping": ("source", r"GET /v2/$", False),
    "token": ("source", r"GET /token", False),
    "challenge": ("source", r"GET /v2/.*", False),
    "tags list": ("source", r"GET .*/tags/list", False),
    "manifest HEAD": ("source", r"HEAD .*/manifests/bad$", True),
    "manifest": ("source", r"GET .*/manifests/(bad$|BAD_DIGESTS)", True),
    "any manifest": ("source", r"GET .*/manifests/", False),
    "blob": ("source", r"GET .*/blobs/(BAD_DIGESTS)", True),
    "any blob": ("source", r"GET .*/blobs/", False),
    "referrers": ("source", r"GET .*/referrers/(BAD_DIGESTS)", True),
    "any referrers": ("source", r"GET .*/referrers/", False),
    "Hub pages": ("hub", r"GET /v2/(namespaces|repositories)/", False),
    "target ping": ("target", r"GET /v2/$", False),
    "target tags list": ("target", r"GET .*/tags/list", False),
    "target manifest HEAD": ("target", r"HEAD .*/manifests/", False),
    "target manifest": ("target", r"GET .*/manifests/(bad$|BAD_DIGESTS)", True),
    "target manifest PUT": ("target", r"PUT .*/manifests/(bad$|BAD_DIGESTS)", True),
    "target blob HEAD": ("target", r"HEAD .*/blobs/(BAD_DIGESTS)", True),
    "target blob": ("target", r"GET .*/blobs/(BAD_DIGESTS)", True),
    "upload POST": ("target", r"POST .*/blobs/uploads/", False),
    "upload PATCH": ("target", r"PATCH .*/blobs/uploads/", False),
    "upload PUT": ("target", r"PUT .*/blobs/uploads/.*digest=(BAD_DIGESTS)", True),
    "any upload": ("target", r"(POST|PUT|PATCH) .*/blobs/uploads/", False),
    "anything": ("source", r".", False),
    "anything at the target": ("target", r".", False),
}
_EVIL_TEXTS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "9" * 400,
        "1e400",
        "NaN",
        "\x00",
        "a\x00b",
        "\u202egnp.exe",
        "\x1b[31mred",
    ),
    *(
        "\x9b31m",
        "../../etc/passwd",
        "'; DROP TABLE tag_sync; --",
        "<script>alert(1)</script>",
        "=1+1",
    ),
    *(
        "[/bold]",
        "x" * 70_000,
        "💥" * 500,
        "sha256:" + "0" * 64,
        "sha256:xyz",
        "md5:" + "0" * 32,
        "\ufeff",
    ),
    *(
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "http://127.0.0.1:5432/",
        "//",
        "http://[",
    ),
)
_EVIL_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 10**30, 1e308, 0.5, [], {}, [[]], {"": {}}, [None] * 1_000),
    *_EVIL_TEXTS,
)
_HEADERS: dict[str, tuple[str, ...]] = {
    "Link": ('<?n=1&last=a>; rel="next"', '<http://evil.test/>; rel="next"', "<", "</v2/>"),
    "Location": ("http://evil.test/v2/", "/", "?x", "http://127.0.0.1:4200/api", "ftp://a/"),
    "Docker-Content-Digest": ("sha256:" + "1" * 64, "sha256:", "sha512:0"),
    "Retry-After": ("0", "1", "31536000", "-5", "Fri, 31 Dec 9999 23:59:59 GMT"),
    "RateLimit-Limit": ("100;w=21600", "9999999999999999;w=1", "-1", "0;w=0"),
    "RateLimit-Remaining": ("0;w=21600", "999999999999", "x"),
    "WWW-Authenticate": (
        *(
            'Bearer realm="http://evil.test/t"',
            "Basic realm=x",
            "Bearer",
            'Bearer realm="file:///a"',
        ),
        'Bearer realm="http://169.254.169.254/",service="s",scope="' + "a" * 9_000 + '"',
    ),
    "Content-Length": ("0", "1", "99999999999", "-7", "x"),
    "Content-Range": ("bytes 0-0/1", "bytes 5-4/9", "bytes */0", "bytes 0-9/99999999999999"),
    "Content-Encoding": ("gzip", "br", "gzip, gzip", "deflate", "identity"),
    "Content-Type": ("text/html", "application/json; charset=utf-16", "a" * 5_000),
    "Transfer-Encoding": ("chunked", "gzip"),
    "Range": ("0-0", "0-999999999999", "9-1", "bytes=0-5"),
    "OCI-Subject": ("sha256:" + "1" * 64,),
    "OCI-Chunk-Min-Length": ("1", "99999999999999999"),
    "OCI-Filters-Applied": ("artifactType",),
    "Docker-Upload-UUID": ("\x7f" * 100,),
    "Set-Cookie": ("a=b; Domain=.test",),
    "Accept-Ranges": ("none", "bytes"),
}
_STATUSES = (200, 201, 202, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 408, 413, 416)
_BAD_STATUSES = (418, 429, 451, 499, 500, 501, 502, 503, 504, 507, 599, 999)

Spoil = Callable[[Random, web.BaseRequest, Answer], "Answer"]


@dataclass(frozen=True)
class Variation:
    """What is spoilt, how, and how often."""

    seed: str
    kind: str
    how: str
    times: int

    @property
    def name(self) -> str:
        """For people, and to draw it again."""
        return f"{self.kind}: {self.how}, {self.times} times ({self.seed})"

    @property
    def side(self) -> str:
        """source, target or hub."""
        return _KINDS[self.kind][0]

    @property
    def alone(self) -> bool:
        """Whether it concerns the tag BAD alone."""
        return _KINDS[self.kind][2]

    def apply(self, scene: Scene) -> None:
        """Spoil the answers of one side."""
        rng = Random(self.seed)
        digests = [content.digest for content in scene.bad.manifests] + list(scene.bad.blobs)
        pattern = _KINDS[self.kind][1].replace("BAD_DIGESTS", "|".join(digests))
        left = self.times

        async def spoil(
            request: web.BaseRequest, answer: Answer
        ) -> Answer | web.StreamResponse | None:
            nonlocal left
            line = f"{request.method} {request.raw_path.replace('%3A', ':')}"
            if left <= 0 or not re.search(pattern, line):
                return None
            left -= 1
            if self.how in _SENT:
                return await _SENT[self.how](rng, request, answer)
            return _CHANGED[self.how](rng, request, answer)

        scene.hub = self.side == "hub"
        sides = {"source": scene.source, "target": scene.target, "hub": scene.web_api}
        sides[self.side].spoil = spoil

    @staticmethod
    def heal(scene: Scene) -> None:
        """Spoil nothing any more."""
        scene.source.spoil = scene.target.spoil = scene.web_api.spoil = None


def drawn(seed: int, number: int) -> Variation:
    """The variation of that number."""
    rng = Random(f"{seed}/{number}")
    kind = rng.choice(list(_KINDS))
    how = rng.choice([*_CHANGED, *_SENT])
    return Variation(f"{seed}/{number}", kind, how, rng.choice((1, 1, 2, 5, 1_000_000)))


def _with(answer: Answer, **changes: str) -> tuple[tuple[str, str], ...]:
    new = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = [(k, v) for k, v in answer.headers if k.lower() not in {name.lower() for name in new}]
    return (*kept, *new.items())


def _wrong_type(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    """One value of the document is another one."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return _body(rng, _, answer)
    places = list(_places(document))
    if not places:
        return _body(rng, _, answer)
    for holder, key in rng.sample(places, min(len(places), rng.choice((1, 1, 3)))):
        holder[key] = rng.choice(_EVIL_VALUES)
    return _sized(answer, json.dumps(document).encode("utf-8", "surrogatepass"))


def _places(document: Any) -> Any:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    if not isinstance(document, dict | list):
        return
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _missing(rng: Random, request: web.BaseRequest, answer: Answer) -> Answer:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return _truncated(rng, request, answer)
    places = [(holder, key) for holder, key in _places(document) if isinstance(holder, dict)]
    if places:
        holder, key = rng.choice(places)
        del holder[key]
    return _sized(answer, json.dumps(document).encode())


def _sized(answer: Answer, body: bytes) -> Answer:
    return Answer(answer.status, _with(answer, Content_Length=str(len(body))), body)


def _truncated(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    return _sized(answer, answer.body[: rng.randrange(len(answer.body) + 1)])


def _repeated(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    return _sized(answer, answer.body * rng.choice((2, 3, 100)))


def _flipped(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    body = bytearray(answer.body or b"x")
    for _at in range(rng.choice((1, 1, 10))):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return _sized(answer, bytes(body))


def _body(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    """Another body altogether."""
    text = rng.choice(_EVIL_TEXTS)
    bodies = (
        *(b"", b"null", b"[]", b"{}", b"{", b"0", b"<html>Bad Gateway</html>", b"\xff\xfe\x00"),
        *(b"[" * 100_000, b"[" + b"[]," * 300_000 + b"[]]", b" " * (9 << 20), b"9" * 10_000),
        json.dumps({"errors": [{"code": text, "message": text, "detail": {text: text}}]}).encode(),
        json.dumps({"tags": [text], "manifests": [text], "results": [{"name": text}]}).encode(),
        json.dumps({"token": text, "access_token": [text], "expires_in": text}).encode(),
        json.dumps({"errors": [{"message": "\x1b[2J\u202e" * 100_000}]}).encode(),
    )
    return _sized(answer, rng.choice(bodies))


def _encoded(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    """Compressed, or said to be."""
    body = rng.choice(
        (answer.body, gzip.compress(answer.body), gzip.compress(b" " * (50 << 20), 1))
    )
    coding = rng.choice(_HEADERS["Content-Encoding"])
    sized = _sized(answer, body)
    return Answer(sized.status, _with(sized, Content_Encoding=coding), body)


def _status(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    status = rng.choice(rng.choice((_STATUSES, _BAD_STATUSES)))
    keep = rng.random() < 0.5
    return Answer(status, answer.headers, answer.body) if keep else _sized(Answer(status), b"no")


def _header(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    """One to three header fields are others."""
    headers = answer.headers
    for name in rng.sample(sorted(_HEADERS), rng.choice((1, 1, 3))):
        value = rng.choice((*_HEADERS[name], *_EVIL_TEXTS))
        headers = (*((k, v) for k, v in headers if k.lower() != name.lower()), (name, value))
    return Answer(answer.status, headers, answer.body)


def _headers_gone(rng: Random, _: web.BaseRequest, answer: Answer) -> Answer:
    kept = tuple(pair for pair in answer.headers if rng.random() < 0.5)
    return Answer(answer.status, kept, answer.body)


def _redirect(rng: Random, request: web.BaseRequest, answer: Answer) -> Answer:
    places = (
        f"http://{request.host}{request.raw_path}",
        *(
            "http://evil.test/",
            "http://127.0.0.1:4200/api/",
            "http://[::1]:22/",
            "file:///etc/passwd",
        ),
        *(
            "http://169.254.169.254/latest/meta-data",
            "//evil.test",
            "https://localhost/",
            "",
            "http://[",
        ),
    )
    status = rng.choice((301, 302, 303, 307, 308))
    return Answer(status, _with(answer, Location=rng.choice(places), Content_Length="0"), b"")


async def _raw(rng: Random, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """The answer byte by byte as it is: lengths that lie, line breaks and NUL in headers."""
    answer = _header(rng, request, answer)
    lines = [
        f"HTTP/1.1 {answer.status} OK",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    if rng.random() < 0.3:
        lines.append("X-Broken: a\r\nX-Smuggled: b\x00\r\n c")
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n"
    return _written(request, head + answer.body)


def _written(request: web.BaseRequest, raw: bytes) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(raw)
        request.transport.close()
    raise ConnectionResetError


async def _reset(rng: Random, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError


async def _drip(rng: Random, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(len(answer.body) or 1):
            yield answer.body[at : at + 1]
            await asyncio.sleep(0.3)

    if request.method == "HEAD" or answer.status in (204, 304):
        return await _stall(rng, request, answer)
    return await stream(
        request, pieces(), status=answer.status, Content_Type=answer.header("Content-Type")
    )


async def _stall(rng: Random, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    await asyncio.sleep(60)
    return await whole(request, answer)


async def _endless(rng: Random, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield answer.body
        while True:
            yield answer.body or b" " * 65_536

    if request.method == "HEAD" or answer.status in (204, 304):
        return await whole(request, answer)
    return await stream(
        request, pieces(), status=answer.status, Content_Type=answer.header("Content-Type")
    )


_CHANGED: dict[str, Spoil] = {
    "wrong types": _wrong_type,
    "missing keys": _missing,
    "truncated": _truncated,
    "repeated": _repeated,
    "flipped bits": _flipped,
    "another body": _body,
    "encoded": _encoded,
    "another status": _status,
    "headers": _header,
    "missing headers": _headers_gone,
    "redirected": _redirect,
}
_SENT = {
    "raw headers": _raw,
    "reset": _reset,
    "slow": _drip,
    "stalled": _stall,
    "endless": _endless,
}


async def _varied(stage: Stage, number: int, variation: Variation) -> Row:
    async with scene_of(f"v{number}", variation.seed, login=True) as scene:
        variation.apply(scene)
        scene.hasty = True
        try:
            async with asyncio.timeout(SECONDS * 2):
                said = await stage.sync(scene)
        except TimeoutError:
            return Row(variation.name, "", {"status": "no end"}, ["it did not end"])
        wrong = await wrongs(stage.url, scene, said, good=variation.alone)
        if said["seconds"] > SECONDS:
            wrong.append(f"{said['seconds']} s")
        variation.heal(scene)
        scene.hasty = False
        again = await stage.sync(scene)
        wrong += [f"then: {one}" for one in await wrongs(stage.url, scene, again, good=True)]
        if scene.arrived.get(BAD) != scene.bad.digest:
            wrong.append(f"then: {BAD} did not arrive: {again['status']}, {again['errors'][:2]}")
    return Row(variation.name, "", said, wrong)


async def vary(count: int, seed: int, at_once: int) -> list[Row]:
    """So many spoilt syncs, drawn from a seed; each is healed and synced again."""
    rows: list[Row] = []
    numbers = iter(range(count))
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        async with staged(Path(folder), at_once) as stage:

            async def work_off() -> None:
                for number in numbers:
                    row = await _varied(stage, number, drawn(seed, number))
                    rows.append(row)
                    if not len(rows) % 25:
                        print(f"{len(rows)} of {count}", flush=True)
                    if row.wrong:
                        print(f"{row.name}: {'; '.join(row.wrong)}"[:2_000], flush=True)

            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(work_off())
    statuses: dict[str, int] = {}
    for row in rows:
        statuses[row.said["status"]] = statuses.get(row.said["status"], 0) + 1
    slowest = max(row.said.get("seconds", 0) for row in rows)
    peak = max(row.said.get("peak_mb", 0) for row in rows)
    print(f"{count} variations of seed {seed}: {statuses}, at most {slowest} s and {peak} MB")
    return rows
