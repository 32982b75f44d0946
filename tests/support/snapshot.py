"""What a repository holds, read with plain requests: two sides can be compared byte for byte.

Nothing here uses the client under test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flows.local.sample_registry import media_types as mediatypes
from tests.support.fake_registry.push import plain_client


@dataclass(frozen=True)
class Snapshot:
    """Tags with digests, manifests with bytes and media type, blobs with sizes.

    `missing` are the digests that some manifest names and the repository does not hold; foreign
    layers are not counted. Content was hashed: `wrong` are digests whose bytes hash otherwise.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: Mapping[str, int] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether everything that a manifest names is there, with the right bytes."""
        return not self.missing and not self.wrong


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of `content`."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


async def snapshot(
    base_url: str,
    repository: str,
    *,
    auth: tuple[str, str] | None = None,
    ca_file: Path | None = None,
) -> Snapshot:
    """Read every tag of a repository, and all manifests and blobs below, hashing all of it.

    `base_url` is scheme://host:port, `auth` (user, password) for Basic, `ca_file` the authority to
    trust. A repository that is not there is an empty snapshot.
    """
    async with plain_client(auth=auth, ca_file=ca_file) as client:
        reader = _Reader(client, f"{base_url}/v2/{repository}")
        for tag in await reader.list_tags():
            await reader.read_manifest(tag, tag=tag)
        return reader.result()


async def blob_bytes(base_url: str, repository: str, digest: str) -> bytes:
    """The content of a blob; httpx.HTTPStatusError where there is none."""
    async with plain_client() as client:
        answer = await client.get(f"{base_url}/v2/{repository}/blobs/{digest}")
        answer.raise_for_status()
        return answer.content


class _Reader:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url
        self._tags: dict[str, str] = {}
        self._manifests: dict[str, tuple[str, bytes]] = {}
        self._blobs: dict[str, int] = {}
        self._missing: set[str] = set()
        self._wrong: set[str] = set()

    def result(self) -> Snapshot:
        return Snapshot(
            self._tags,
            self._manifests,
            self._blobs,
            frozenset(self._missing),
            frozenset(self._wrong),
        )

    async def list_tags(self) -> list[str]:
        tags: list[str] = []
        address: httpx.URL | None = httpx.URL(f"{self._url}/tags/list")
        while address is not None:
            answer = await self._client.get(address)
            if answer.status_code == 404:
                return []
            answer.raise_for_status()
            tags += answer.json()["tags"] or []
            following = answer.links.get("next")
            address = answer.url.join(following["url"]) if following else None
        return tags

    async def read_manifest(self, reference: str, *, tag: str | None = None) -> None:
        answer = await self._client.get(
            f"{self._url}/manifests/{reference}", headers={"Accept": mediatypes.ACCEPT}
        )
        if answer.status_code == 404:
            self._missing.add(reference)
            return
        answer.raise_for_status()
        raw = answer.content
        algorithm = "sha256" if tag else reference.partition(":")[0]
        digest = digest_of(raw, algorithm)
        if tag is not None:
            self._tags[tag] = digest
        elif digest != reference:
            self._wrong.add(reference)
        if digest in self._manifests:
            return
        self._manifests[digest] = (answer.headers["Content-Type"], raw)
        await self._read_references(json.loads(raw))

    async def _read_references(self, document: Mapping[str, Any]) -> None:
        for child in document.get("manifests", []):
            if child["digest"] not in self._manifests:
                await self.read_manifest(child["digest"])
        config = [document["config"]] if "config" in document else []
        for blob in [*config, *document.get("layers", [])]:
            if not mediatypes.is_foreign(blob["mediaType"]):
                await self._read_blob(blob["digest"])

    async def _read_blob(self, digest: str) -> None:
        if digest in self._blobs:
            return
        hasher, size = hashlib.new(digest.partition(":")[0]), 0
        address = f"{self._url}/blobs/{digest}"
        async with self._client.stream("GET", address) as answer:
            if answer.status_code == 404:
                self._missing.add(digest)
                return
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                hasher.update(chunk)
                size += len(chunk)
        if hasher.hexdigest() != digest.partition(":")[2]:
            self._wrong.add(digest)
        self._blobs[digest] = size
