"""Habits of registries and proxies, drawn at random: what each request may meet, in any order."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flows.local.sample_registry.interceptor import Interceptor
from flows.local.sample_registry.replies import Reply
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Auth, Behaviour, Scheme
from tests.support.fake_registry.faults import (
    Corrupt,
    CutConnection,
    Drop,
    ExpireTokens,
    Headers,
    Respond,
    Rule,
    Side,
    Truncate,
)
from tests.support.fake_registry.registry import FakeRegistry

REQUESTS = (
    "POST .*/blobs/uploads/\\?digest=",
    "POST .*/blobs/uploads/\\?mount=",
    "POST .*/blobs/uploads/",
    "PATCH .*/blobs/uploads/",
    "PUT .*/blobs/uploads/.*digest=",
    "GET .*/blobs/uploads/",
    "HEAD .*/blobs/",
    "GET .*/blobs/sha256",
    "HEAD .*/manifests/",
    "GET .*/manifests/",
    "PUT .*/manifests/",
    "GET .*/tags/list\\?n=1000",
    "GET .*/tags/list",
    "GET .*/referrers/",
    "GET .*/token",
    "GET .*/v2/$",
    ".",
)
STATUSES = (400, 401, 403, 404, 405, 409, 412, 416, 429, 500, 502, 503, 507)
CODES = ("UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "DENIED", "NAME_UNKNOWN")
BODIES = (
    b"<html>Sign in</html>",
    b'{"errors": [{"code": "DENIED"}]}',
    b'{"message": "moved"}',
    b"[]",
    b"null",
    b"",
)
NO_TAGS = (b'{"tags": null}', b'{"tags": []}')
HEADERS = ("Content-Length", "Docker-Content-Digest", "Content-Type", "Location", "Range")


@dataclass(frozen=True)
class DamageUpload(Interceptor):
    """Flip the byte at `offset` of the request's body."""

    offset: int

    async def received(self, offset: int, chunk: bytes) -> bytes:
        place = self.offset - offset
        if not 0 <= place < len(chunk):
            return chunk
        return chunk[:place] + bytes([chunk[place] ^ 0xFF]) + chunk[place + 1 :]


@dataclass(frozen=True)
class AnswerLost(Interceptor):
    """The registry does what it was asked to; a proxy answers something else."""

    status: int

    def amend(self, reply: Reply) -> Reply:
        return Reply(self.status)


@dataclass(frozen=True)
class HideTags(Interceptor):
    """A list lacks tags, as filtering proxies do; Link stays."""

    hidden: frozenset[str]

    def amend(self, reply: Reply) -> Reply:
        if not isinstance(reply.body, bytes):
            return reply
        try:
            document = json.loads(reply.body)
            tags = [tag for tag in document["tags"] or () if tag not in self.hidden]
        except (ValueError, KeyError, TypeError):
            return reply
        body = json.dumps({**document, "tags": tags}).encode()
        return replace(reply, body=body)


@dataclass
class Late:
    """What was written is shown only after some reads: replicated registries.

    A callable that takes a request's line, as the table of faults does; `then` is asked after it.
    """

    reads: int
    then: Callable[[str], Interceptor | None]
    hidden: dict[str, int] = field(default_factory=dict)

    def __call__(self, line: str) -> Interceptor | None:
        method, _, address = line.partition(" ")
        path = address.partition("?")[0]
        if method == "PUT" and "/manifests/" in path:
            self.hidden.setdefault(path, self.reads)
        elif method == "PUT" and (found := re.search("digest=([^&]+)", address)):
            digest = found.group(1).replace("%3A", ":")
            blob = f"{path.partition('/blobs/')[0]}/blobs/{digest}"
            self.hidden.setdefault(blob, self.reads)
        elif method in ("GET", "HEAD") and self.hidden.get(path, 0) > 0:
            self.hidden[path] -= 1
            return Respond(404, "MANIFEST_UNKNOWN" if "/manifests/" in path else "BLOB_UNKNOWN")
        return self.then(line)


def behaviour(chance: random.Random) -> Behaviour:
    """How a registry is as a whole: its logins, its pages, what it supports."""
    auth = Auth()
    if chance.random() < 0.5:
        auth = Auth(
            scheme=chance.choice((Scheme.BASIC, Scheme.BEARER, Scheme.BEARER)),
            accounts={quirks.USERNAME: quirks.PASSWORD},
            token_key=chance.choice(("token", "access_token")),
            expires_in=chance.choice((None, 1, 60, 300)),
        )

    def mostly() -> bool:
        return chance.random() < 0.8

    return Behaviour(
        auth=auth,
        honours_n=mostly(),
        page_limit=chance.choice((None, None, 1, 2, 3)),
        digest_on_head=mostly(),
        range_reads=mostly(),
        mount=mostly(),
        single_post=mostly(),
        chunks=mostly(),
        resume=mostly(),
        status_of_uploads=mostly(),
        referrers=mostly(),
        subject_acknowledged=mostly(),
        relative_location=mostly(),
        cdn=not mostly(),
    )


def habit(chance: random.Random, registry: FakeRegistry, hidden: frozenset[str]) -> Rule:
    """One way in which a request may fail or differ. `hidden`: tags that a list may leave out."""
    request = chance.choice(REQUESTS)
    place = chance.choice((0, 1, 7, 100, 299, 1_000_000))
    faults: list[Interceptor] = [
        Respond(chance.choice(STATUSES)),
        Respond(chance.choice(STATUSES), chance.choice(CODES)),
        Respond(chance.choice((301, 302, 307, 308)), headers={"Location": "/elsewhere"}),
        Respond(200, body=chance.choice(BODIES)),
        AnswerLost(chance.choice(STATUSES)),
        CutConnection(),
        Drop(place, chance.choice((Side.REQUEST, Side.RESPONSE))),
        Truncate(place),
        Corrupt(place),
        DamageUpload(place),
        ExpireTokens(registry.access),
        Headers(drop=frozenset({chance.choice(HEADERS)})),
    ]
    if hidden and "tags/list" in request:
        faults += [HideTags(hidden), Respond(200, body=chance.choice(NO_TAGS))]
    return Rule(
        request,
        chance.choice(faults),
        times=chance.choice((1, 2, 5, None)),
        skip=chance.choice((0, 0, 1, 3)),
    )
