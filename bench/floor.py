"""`python -m bench.floor`: what workload B costs without Prefect, history, checks and retries.

The same requests as a sync's, on the same links to the same registries, by aiohttp alone in a
process that does nothing else. No client that sends them can be faster on this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp
import uvloop

from bench.process import roomy_memory
from bench.sizes import FULL, REPOSITORY, Sizes
from bench.stage import Session, Stage
from bench.workloads import PLAIN

AT_ONCE = 64
"""Tags; the peers' figures were best with it."""
ACCEPT = "application/vnd.oci.image.manifest.v1+json"


class Floor:
    """Copies and verifies tags with the fewest possible requests."""

    def __init__(self, session: aiohttp.ClientSession, source: str, target: str) -> None:
        self._session = session
        self._source = source  # http://host:port/v2/repository
        self._target = target

    async def tag(self, name: str) -> None:
        """HEAD and GET the manifest, carry its blobs, PUT it, look at all of it."""
        await self._ask("HEAD", f"{self._source}/manifests/{name}")
        raw = await self._ask("GET", f"{self._source}/manifests/{name}")
        manifest = json.loads(raw)
        digests = [each["digest"] for each in (manifest["config"], *manifest["layers"])]
        await asyncio.gather(*(self._blob(digest) for digest in digests))
        sent = {"Content-Type": manifest.get("mediaType", ACCEPT)}
        await self._ask("PUT", f"{self._target}/manifests/{name}", sent, raw)
        seen = [("GET", f"manifests/{name}"), *(("HEAD", f"blobs/{digest}") for digest in digests)]
        await asyncio.gather(*(self._ask(how, f"{self._target}/{what}") for how, what in seen))

    async def _blob(self, digest: str) -> None:
        body, place = await asyncio.gather(
            self._ask("GET", f"{self._source}/blobs/{digest}"), self._session_for()
        )
        joint = "&" if "?" in place else "?"
        await self._ask("PUT", f"{place}{joint}digest={quote(digest)}", None, body)

    async def _session_for(self) -> str:
        async with self._session.post(f"{self._target}/blobs/uploads/") as answer:
            answer.raise_for_status()
            return answer.headers["Location"]

    async def _ask(
        self, how: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> bytes:
        sent = {"Accept": ACCEPT, **(headers or {})}
        async with self._session.request(how, url, headers=sent, data=body) as answer:
            answer.raise_for_status()
            return await answer.read()


async def copy(stage: Stage, names: list[str]) -> float:
    """All tags, so many at once; the seconds that they took."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        floor = Floor(
            session,
            f"http://{stage.near}/v2/{REPOSITORY}",
            f"http://{stage.far}/v2/copy/{REPOSITORY.rpartition('/')[2]}",
        )
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with turns:
                await floor.tag(name)

        began = time.perf_counter()
        await asyncio.gather(*(one(name) for name in names))
        return time.perf_counter() - began


def main(sizes: Sizes = FULL, rounds: int = 3) -> list[float]:
    """Print the seconds of each round, and what the process took of the processor."""
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    stores = Path(tempfile.mkdtemp(prefix="bench-", dir=roomy_memory()))
    content, taken = sizes.b(), []
    try:
        session = Session(scratch, stores, None, {}, rounds, 0)
        with session.source([content]) as source:
            names = [image.tag for image in content.images]
            for _ in range(rounds):
                with session.stage(source, PLAIN) as stage:
                    before = sum(os.times()[:2])
                    taken.append(uvloop.run(copy(stage, names)))
                    spent = sum(os.times()[:2]) - before
                    print(f"{taken[-1]:.2f} s, of which the client's processor {spent:.2f} s")
    finally:
        for folder in (scratch, stores):
            shutil.rmtree(folder, ignore_errors=True)
    return taken


if __name__ == "__main__":
    main()
