"""Scripted faults: a table of rules, each matching requests and breaking them.

    registry.faults.add(Rule("GET /v2/.*/blobs/", Drop(after=50 * MIB), times=None))
    registry.faults.add(Rule("PUT /v2/.*/manifests/", Respond(503), times=2))
    registry.faults.add(Rule("PATCH ", Drop(after=MIB, side=Side.REQUEST), skip=1))

A rule's pattern is searched for in the line "METHOD /path?query". The first rule of the table that
matches and is not used up acts; the others ignore that request.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from flows.local.sample_registry.interceptor import DroppedError, Interceptor
from flows.local.sample_registry.replies import Reply, Slice
from tests.support.fake_registry.access import Access


class Side(StrEnum):
    """Which body a fault breaks, as the client sees it."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True)
class Respond(Interceptor):
    """An answer instead of the registry's own: `status`, error `code`, or a raw `body`."""

    status: int
    code: str = "UNKNOWN"
    message: str = "scripted fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    async def before(self) -> Reply | None:
        if self.body is not None:
            return Reply(self.status, self.headers, self.body)
        error = {"errors": [{"code": self.code, "message": self.message, "detail": None}]}
        headers = {"Content-Type": "application/json", **self.headers}
        return Reply(self.status, headers, json.dumps(error).encode())


def disk_full() -> Respond:
    """What distribution answers when its storage has no space left: 500 UNKNOWN."""
    return Respond(500, "UNKNOWN", "filesystem: write: no space left on device")


def insufficient_storage() -> Respond:
    """507, as registries with quotas per project answer."""
    return Respond(507, "DENIED", "insufficient storage: the quota is exceeded")


def abuse_limit() -> Respond:
    """Docker Hub's limit apart from the quota: a plain 429 that is no JSON."""
    return Respond(429, body=b"Too Many Requests\n")


@dataclass(frozen=True)
class ExpireTokens(Interceptor):
    """Every token expires just before this request: the sender gets 401 with a challenge."""

    access: Access

    async def before(self) -> Reply | None:
        self.access.revoke_tokens()
        return None


@dataclass(frozen=True)
class Drop(Interceptor):
    """Cut the connection after `after` bytes of one side's body."""

    after: int
    side: Side = Side.RESPONSE
    reset: bool = True

    async def received(self, offset: int, chunk: bytes) -> bytes:
        return self._cut(offset, chunk) if self.side is Side.REQUEST else chunk

    async def sent(self, offset: int, chunk: bytes) -> bytes:
        return self._cut(offset, chunk) if self.side is Side.RESPONSE else chunk

    def _cut(self, offset: int, chunk: bytes) -> bytes:
        if offset + len(chunk) < self.after:
            return chunk
        raise DroppedError(chunk[: self.after - offset], reset=self.reset)


@dataclass(frozen=True)
class CutConnection(Interceptor):
    """The connection breaks before an answer."""

    async def before(self) -> Reply | None:
        raise DroppedError(b"", reset=True)


@dataclass(frozen=True)
class Hang(Interceptor):
    """Stop for `seconds` once `after` bytes of one side's body have passed."""

    seconds: float
    after: int = 0
    side: Side = Side.RESPONSE

    async def received(self, offset: int, chunk: bytes) -> bytes:
        return await self._wait(offset, chunk) if self.side is Side.REQUEST else chunk

    async def sent(self, offset: int, chunk: bytes) -> bytes:
        return await self._wait(offset, chunk) if self.side is Side.RESPONSE else chunk

    async def _wait(self, offset: int, chunk: bytes) -> bytes:
        if offset <= self.after < offset + len(chunk):
            await asyncio.sleep(self.seconds)
        return chunk


@dataclass(frozen=True)
class Delay(Interceptor):
    """Answer nothing for `seconds` after the request's headers (a slow start)."""

    seconds: float

    async def before(self) -> Reply | None:
        await asyncio.sleep(self.seconds)
        return None


@dataclass(frozen=True)
class Corrupt(Interceptor):
    """Flip the byte at `offset` of the answer's body; length and headers stay true."""

    offset: int = 0

    async def sent(self, offset: int, chunk: bytes) -> bytes:
        place = self.offset - offset
        if not 0 <= place < len(chunk):
            return chunk
        return chunk[:place] + bytes([chunk[place] ^ 0xFF]) + chunk[place + 1 :]


@dataclass(frozen=True)
class Truncate(Interceptor):
    """Answer only the first `keep` bytes, with a Content-Length that agrees with them."""

    keep: int

    def amend(self, reply: Reply) -> Reply:
        body = reply.body
        if isinstance(body, Slice):
            return replace(reply, body=replace(body, end=min(body.end, body.start + self.keep)))
        return replace(reply, body=body[: self.keep])


@dataclass(frozen=True)
class Headers(Interceptor):
    """Lie in headers: `add` replaces or adds, `drop` leaves out (names as the registry writes)."""

    add: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    def amend(self, reply: Reply) -> Reply:
        kept = {name: value for name, value in reply.headers.items() if name not in self.drop}
        return replace(reply, headers={**kept, **self.add})


@dataclass(frozen=True)
class Rule:
    """When a fault acts: `pattern`, after `skip` matches, `times` times (None: always)."""

    pattern: str
    fault: Interceptor
    times: int | None = 1
    skip: int = 0


class Faults:
    """The table of rules of a registry, and how often each has acted."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules: list[Rule] = []
        self._matched: list[int] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Append a rule to the table."""
        self._rules.append(rule)
        self._matched.append(0)

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()
        self._matched.clear()

    def acted(self) -> int:
        """How many requests rules have acted on so far."""
        pairs = zip(self._rules, self._matched, strict=True)
        return sum(max(0, matched - rule.skip) for rule, matched in pairs)

    def find(self, line: str) -> Interceptor | None:
        """The fault for a request "METHOD /path?query"; None when no rule acts."""
        for place, rule in enumerate(self._rules):
            used_up = rule.times is not None and self._matched[place] >= rule.skip + rule.times
            if used_up or not re.search(rule.pattern, line):
                continue
            self._matched[place] += 1
            if self._matched[place] > rule.skip:
                return rule.fault
        return None
