"""Pushes sample images with a few plain requests, so that tests of a client do not depend on it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path

import httpx

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Content, Image

AT_ONCE = 8


def plain_client(
    *, auth: tuple[str, str] | None = None, ca_file: Path | None = None
) -> httpx.AsyncClient:
    """An httpx client for registries nearby: no proxies, and no authority but `ca_file`."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        trusted.load_verify_locations(ca_file)
    return httpx.AsyncClient(
        auth=auth, verify=trusted, timeout=120, trust_env=False, follow_redirects=True
    )


async def push(
    base_url: str,
    repository: str,
    tags: str | Iterable[str],
    image: Image,
    *,
    auth: tuple[str, str] | None = None,
    ca_file: Path | None = None,
    client: httpx.AsyncClient | None = None,
) -> str:
    """Push an image, its referrers, and point one or more tags at it; returns its digest.

    `auth` is (user, password) for Basic, `ca_file` the authority to trust. Blobs
    that are there are not sent again. Raises httpx.HTTPStatusError when the registry
    refuses anything.
    """
    if client is None:
        async with plain_client(auth=auth, ca_file=ca_file) as own:
            return await push(base_url, repository, tags, image, client=own)
    url = f"{base_url}/v2/{repository}"
    gate = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(
        *(_push_blob(client, url, digest, raw, gate) for digest, raw in image.blobs.items())
    )
    for child in image.children:
        await _push_manifest(client, url, child.digest, child)
    for tag in [tags] if isinstance(tags, str) else tags:
        await _push_manifest(client, url, tag, image.root)
    for referrer in image.referrers:
        await push(base_url, repository, referrer.digest, referrer, client=client)
    return image.digest


async def delete_tag(base_url: str, repository: str, tag: str) -> None:
    """Delete what a tag points at, by digest: the way that every registry knows."""
    async with plain_client() as client:
        url = f"{base_url}/v2/{repository}/manifests"
        head = await client.head(f"{url}/{tag}", headers={"Accept": mediatypes.ACCEPT})
        head.raise_for_status()
        answer = await client.delete(f"{url}/{head.headers['Docker-Content-Digest']}")
        answer.raise_for_status()


async def _push_blob(
    client: httpx.AsyncClient, url: str, digest: str, raw: bytes, gate: asyncio.Semaphore
) -> None:
    async with gate:
        if (await client.head(f"{url}/blobs/{digest}")).status_code == 200:
            return
        opened = await client.post(f"{url}/blobs/uploads/")
        opened.raise_for_status()
        location = opened.url.join(opened.headers["Location"])
        answer = await client.put(
            location.copy_merge_params({"digest": digest}),
            content=raw,
            headers={"Content-Type": "application/octet-stream"},
        )
        answer.raise_for_status()


async def _push_manifest(
    client: httpx.AsyncClient, url: str, reference: str, content: Content
) -> None:
    answer = await client.put(
        f"{url}/manifests/{reference}",
        content=content.raw,
        headers={"Content-Type": content.media_type},
    )
    answer.raise_for_status()
