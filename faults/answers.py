"""Lines that break, and registries that storm and lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from aiohttp import web

from faults.acting import Acting, Fired
from faults.front import Answer, Front, HttpFault, WireFault
from faults.stage import Run, Stage

MANIFEST = r"GET /v2/.*/manifests/"
BLOB = r"GET /v2/.*/blobs/sha256"
ANY = r"/v2/.+"


def wire(what: str) -> Acting:
    """Connections that break, stall or change a byte, at a random byte of either side."""

    @asynccontextmanager
    async def act(
        stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
    ) -> AsyncIterator[None]:
        front = rng.choice((stage.at_source, stage.at_target))
        at = int(10 ** rng.uniform(1, 5.3))
        seconds = rng.uniform(0.2, 3.0)
        fault = WireFault(what, rng.choice(("up", "down")), at, rng.choice((1, 1, 2, 5)), seconds)
        front.wire.append(fault)
        yield
        fired.times = fault.fired

    return act


def http(make: Callable[[Stage, Random, Front], HttpFault]) -> Acting:
    """Answers that storm or lie, at a random side."""

    @asynccontextmanager
    async def act(
        stage: Stage, rng: Random, run: asyncio.Future[Run], fired: Fired
    ) -> AsyncIterator[None]:
        front = rng.choice((stage.at_source, stage.at_target))
        fault = make(stage, rng, front)
        if fault.before is None and fault.after is None:
            raise ValueError("a fault that does nothing")
        front = stage.at_target if "PUT" in fault.pattern or "HEAD" in fault.pattern else front
        front.http.append(fault)
        yield
        fired.times = fault.fired

    return act


def storm(*statuses: int) -> Callable[[Stage, Random, Front], HttpFault]:
    """So many answers of these statuses in a row."""

    def make(stage: Stage, rng: Random, front: Front) -> HttpFault:
        def before(_: web.Request) -> Answer:
            status = rng.choice(statuses)
            headers = {"Retry-After": rng.choice(("0", "1"))} if status in (429, 503) else {}
            return status, headers, b"busy"

        return HttpFault(ANY, before, times=rng.randint(1, 12), skip=rng.randint(0, 15))

    return make


def expire(stage: Stage, rng: Random, front: Front) -> HttpFault:
    """Every token expires at some request, again and again."""

    def before(_: web.Request) -> Answer:
        front.epoch += 1
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{front.host}/token"'}, b""

    return HttpFault(ANY, before, times=rng.randint(1, 3), skip=rng.randint(0, 20))


def changed(how: str) -> Callable[[Stage, Random, Front], HttpFault]:
    """Content that is not what its digest says."""

    def make(stage: Stage, rng: Random, front: Front) -> HttpFault:
        def after(_: web.Request, answer: Answer) -> Answer | None:
            status, headers, body = answer
            if status != 200 or not body:
                return None
            place = rng.randrange(len(body))
            if how == "flipped":
                body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            elif how == "truncated":
                body = body[:place]
            elif how == "longer":
                body += b"\n" * rng.randint(1, 1000)
            else:
                wrong = f"sha256:{rng.randbytes(32).hex()}"
                headers = {**headers, "Docker-Content-Digest": wrong}
            return status, headers, body

        pattern = rng.choice((MANIFEST, MANIFEST if how == "digest" else BLOB))
        return HttpFault(pattern, None, after, rng.choice((1, 1, 3)), rng.randint(0, 3))

    return make


def other_content(stage: Stage, rng: Random, front: Front) -> HttpFault:
    """A manifest that was right the first time is another one the second time."""
    seen: list[Answer] = []

    def after(_: web.Request, answer: Answer) -> Answer | None:
        if answer[0] != 200:
            return None
        others = [each for each in seen if each[2] != answer[2]]
        seen.append(answer)
        return rng.choice(others) if others else None

    return HttpFault(MANIFEST, None, after, times=rng.randint(1, 3))


def not_stored(what: str) -> Callable[[Stage, Random, Front], HttpFault]:
    """201 for what was thrown away."""

    def make(stage: Stage, rng: Random, front: Front) -> HttpFault:
        def before(request: web.Request) -> Answer:
            digest = request.query.get("digest", "")
            headers = {"Location": request.path}
            return 201, headers | ({"Docker-Content-Digest": digest} if digest else {}), b""

        return HttpFault(what, before, times=rng.choice((1, 1, 3)), skip=rng.randint(0, 3))

    return make


def has_it(stage: Stage, rng: Random, front: Front) -> HttpFault:
    """A HEAD says that a blob is there which is not."""

    def after(request: web.Request, answer: Answer) -> Answer | None:
        if answer[0] != 404:
            return None
        digest = request.path.rpartition("/")[2]
        return 200, {"Docker-Content-Digest": digest}, b""

    return HttpFault(r"HEAD /v2/.*/blobs/sha256", None, after, times=rng.choice((1, 2, 5)))
