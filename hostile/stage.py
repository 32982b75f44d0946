"""Source and target in memory, an embedded PostgreSQL, and a process that runs syncs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import single
from flows.local.sample_registry.store import StoredManifest
from hostile.server import Server, server_before
from mirror.history import Cluster, embedded_url, prepare
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Auth, Behaviour, Scheme
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.registry import FakeRegistry

SOURCE = "team/app"
GOOD, BAD = "good", "bad"


@dataclass
class Runner:
    """A process that forks one sync at a time."""

    process: asyncio.subprocess.Process

    async def sync(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run a sync to its end; what it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        said: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return said


@dataclass
class Scene:
    """One mirror: a server before its source and one before its target.

    The source has two tags: GOOD, and BAD, whose image a trial may spoil.
    """

    name: str
    source: Server
    target: Server
    web_api: Server
    registry: FakeRegistry
    held: FakeRegistry
    good: Image
    bad: Image
    hub: bool = False
    limits: dict[str, float] = field(default_factory=dict)
    hasty: bool = False

    def order(self, url: str) -> dict[str, Any]:
        """What the runner is told."""
        return {
            "name": self.name,
            "source": f"{self.source.host}/{SOURCE}",
            "target": f"{self.target.host}/{self.copy}",
            "hub": f"http://{self.web_api.host}" if self.hub else None,
            "limits": self.limits,
            "hasty": self.hasty,
            "url": url,
        }

    @property
    def copy(self) -> str:
        """The repository at the target."""
        return f"copy/{self.name}"

    def put(self, tag: str | None, image: Image) -> None:
        """Into the source's store."""
        store = self.registry.store
        for digest, raw in image.blobs.items():
            store.add_blob(SOURCE, raw, digest.partition(":")[0])
        for content in image.manifests:
            kept = StoredManifest(content.raw, content.media_type, content.digest)
            store.add_manifest(SOURCE, kept, tag if content is image.root else None)

    @property
    def arrived(self) -> dict[str, str]:
        """Digests by tag at the target."""
        found = self.held.store.repositories.get(self.copy)
        return dict(found.tags) if found else {}


@dataclass
class Stage:
    """What all scenes share."""

    url: str
    runners: asyncio.Queue[Runner]

    async def sync(self, scene: Scene) -> dict[str, Any]:
        """Sync a scene's mirror in a process of its own."""
        runner = await self.runners.get()
        try:
            return await runner.sync(scene.order(self.url))
        finally:
            self.runners.put_nowait(runner)


@asynccontextmanager
async def scene_of(name: str, seed: str, *, login: bool = False) -> AsyncIterator[Scene]:
    """A mirror with two tags at its source, and nothing at its target; `login` for both."""
    behaviour = Behaviour(auth=Auth(Scheme.BEARER, quirks.ACCOUNT)) if login else None
    async with (
        FakeRegistry(behaviour) as registry,
        FakeRegistry(behaviour) as held,
        FakeHub(registry.store) as hub,
        server_before(registry.host) as source,
        server_before(held.host) as target,
        server_before(hub.host) as web_api,
    ):
        good = single(f"{seed}/good", sizes=(5_000,))
        bad = multi_platform(f"{seed}/bad", sizes=(3_000, 1_500_000))
        scene = Scene(name, source, target, web_api, registry, held, good, bad)
        scene.put(GOOD, good)
        scene.put(BAD, bad)
        yield scene


@asynccontextmanager
async def staged(folder: Path, at_once: int) -> AsyncIterator[Stage]:
    """Start everything; stop everything."""
    os.environ["MIRROR_DATA_DIR"] = str(
        folder
    )  # so that the history is migrated as the embedded one
    cluster = Cluster(folder / "postgres")
    await asyncio.to_thread(cluster.ensure_database, "mirror")
    started: list[asyncio.subprocess.Process] = []
    try:
        url = embedded_url("mirror", cluster)
        await asyncio.to_thread(prepare, url)
        runners: asyncio.Queue[Runner] = asyncio.Queue()
        for _ in range(at_once):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "hostile.runner"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                limit=64 << 20,
            )
            started.append(process)
            runners.put_nowait(Runner(process))
        yield Stage(url, runners)
    finally:
        for process in started:
            process.kill()
            await process.wait()
        await asyncio.to_thread(cluster.stop)
