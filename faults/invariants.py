"""What must hold at every moment, read from outside: the registry's files and the database."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from faults.stage import SOURCE, TARGET, Stage
from mirror.history.database.address import conninfo

_LOOK_EVERY = 0.05  # seconds
_AVAILABLE = "SELECT tag, target_digest FROM tag_state WHERE copied_digest IS NOT NULL"
_UNENDED = """
    SELECT count(*) FROM sync_run
    WHERE status = 'running' AND started_at <= now() - make_interval(secs => {seconds})
"""
_MISCOUNTED = """
    SELECT count(*) FROM sync_run run
    WHERE run.status <> 'running' AND run.tags_copied <> (
        SELECT count(*) FROM tag_sync tag
        WHERE tag.run_id = run.id AND tag.run_started_at = run.started_at
            AND tag.status = 'succeeded')
"""
# A source that lies may move a tag away and back: only what follows itself is counted twice.
_DOUBLED = """
    SELECT tag, source_digest, count(*) FROM (
        SELECT tag, source_digest, kind,
            lag(source_digest) OVER (PARTITION BY mirror_id, tag ORDER BY ended_at) AS before
        FROM tag_sync WHERE status = 'succeeded' AND kind NOT IN ('gone', 'deleted')
    ) AS copied
    WHERE kind IN ('new', 'moved') AND before = source_digest
    GROUP BY tag, source_digest
"""


@dataclass
class Storage:
    """A docker-registry's files: `folder` is that of DockerRegistry.storage."""

    folder: Path
    repository: str
    _whole: set[str] = field(default_factory=set)  # blobs that were hashed and right

    def tags(self) -> dict[str, str]:
        """Digests by tag. A link that is being written counts as absent."""
        found = {}
        for link in self._repository.glob("_manifests/tags/*/current/link"):
            digest = _text(link)
            if digest.startswith("sha256:") and len(digest) == 71:
                found[link.parts[-3]] = digest
        return found

    def trouble(self, digest: str) -> Iterator[str]:
        """What is missing or wrong below a manifest that a tag points at."""
        raw = self._content(digest)
        revision = self._repository / "_manifests/revisions/sha256" / digest[7:] / "link"
        if raw is None or not revision.exists():
            yield f"manifest {digest}"
            return
        if f"sha256:{hashlib.sha256(raw).hexdigest()}" != digest:
            yield f"manifest {digest}: other bytes"
            return
        document = json.loads(raw)
        for child in document.get("manifests", []):
            yield from self.trouble(child["digest"])
        for blob in [*filter(None, [document.get("config")]), *document.get("layers", [])]:
            yield from self._blob(blob)

    def sizes(self) -> dict[str, int]:
        """Bytes of every layer and config that the repository holds."""
        layers = self._repository.glob("_layers/sha256/*/link")
        found = {}
        for link in layers:
            with contextlib.suppress(OSError):
                found[link.parts[-2]] = self._data(f"sha256:{link.parts[-2]}").stat().st_size
        return found

    def _blob(self, descriptor: dict[str, Any]) -> Iterator[str]:
        digest = descriptor["digest"]
        if digest in self._whole:
            return
        if not (self._repository / "_layers/sha256" / digest[7:] / "link").exists():
            yield f"blob {digest}: absent"
            return
        content = self._content(digest)
        if content is None or len(content) != descriptor["size"]:
            yield f"blob {digest}: incomplete"
        elif f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            yield f"blob {digest}: other bytes"
        else:
            self._whole.add(digest)

    @property
    def _repository(self) -> Path:
        return self.folder / "repositories" / self.repository

    def _data(self, digest: str) -> Path:
        return self.folder / "blobs/sha256" / digest[7:9] / digest[7:] / "data"

    def _content(self, digest: str) -> bytes | None:
        try:
            return self._data(digest).read_bytes()
        except OSError:
            return None


@dataclass
class Inspector:
    """Looks all the time; keeps every violation that it sees, once."""

    stage: Stage
    torn: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # called available
    looks: int = 0
    _missing: dict[str, str] = field(default_factory=dict)  # at the look before

    @property
    def source(self) -> Storage:
        """The source's files."""
        return Storage(self.stage.source.storage, SOURCE)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        target = Storage(self.stage.target.storage, TARGET)
        while True:
            self.look(target, await self._available())
            await asyncio.sleep(_LOOK_EVERY)

    def look(self, target: Storage, called: dict[str, str]) -> None:
        """Every tag is whole; what was called available before is there."""
        self.looks += 1
        tags = target.tags()
        for tag, digest in tags.items():
            for what in target.trouble(digest):
                self.torn.setdefault(f"{tag} at {digest}", what)
        # A registry writes a tag's link in two steps: it may be empty for a moment.
        missing = {tag: digest for tag, digest in called.items() if tag not in tags}
        for tag, digest in missing.items() & self._missing.items():
            self.absent.setdefault(tag, f"{digest}: no such tag")
        if called:
            self._missing = missing
        for tag, digest in called.items():
            if tag in missing:
                continue
            if trouble := next(target.trouble(digest), None):
                self.absent.setdefault(tag, f"{digest}: {trouble}")

    async def _available(self) -> dict[str, str]:
        """What the history calls available, if the database answers at once."""
        if self.looks % 5:
            return {}
        try:
            async with asyncio.timeout(1):
                async with await psycopg.AsyncConnection.connect(
                    conninfo(self.stage.url), connect_timeout=1, autocommit=True
                ) as connection:
                    rows = await (await connection.execute(_AVAILABLE)).fetchall()
        except (psycopg.Error, TimeoutError, OSError):
            return {}
        return dict(rows)

    async def at_rest(self) -> list[str]:
        """What is wrong once everything has arrived: the record, exactly."""
        wrong = []
        source, target = self.source.tags(), Storage(self.stage.target.storage, TARGET).tags()
        if source != target:
            wrong.append(f"tags differ: {sorted(source.items() ^ target.items())}")
        called = dict(await _ask(self.stage.url, _AVAILABLE))
        if lost := {tag for tag, digest in source.items() if called.get(tag) != digest}:
            wrong.append(f"records lost: {sorted(lost)}")
        return wrong + await wrong_in_record(self.stage.url)


async def wrong_in_record(url: str, open_seconds: float = 0) -> list[str]:
    """Runs that have been open for so long, miscounted runs, doubled records."""
    wrong = []
    if (unended := (await _ask(url, _UNENDED.format(seconds=open_seconds)))[0][0]) > 0:
        wrong.append(f"runs without an end: {unended}")
    if (miscounted := (await _ask(url, _MISCOUNTED))[0][0]) > 0:
        wrong.append(f"runs whose count differs from their tags: {miscounted}")
    if doubled := await _ask(url, _DOUBLED):
        wrong.append(f"records doubled: {doubled[:3]}")
    return wrong


async def _ask(url: str, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as connection:
        return await (await connection.execute(query.encode())).fetchall()


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
