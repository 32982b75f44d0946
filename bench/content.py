"""Images of random, reproducible content, and the quick way to put them into a registry."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Lock

import httpx

from bench.process import BenchError

BLOCK = Random(20240229).randbytes(1 << 20)
PUSHERS = 4
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: same seed and size, same bytes."""

    seed: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes, at most 1 MiB at a time. Nothing on the way compresses or deduplicates."""
        head = hashlib.sha256(self.seed.encode()).digest()[: self.size]
        yield head
        left = self.size - len(head)
        while left > 0:
            yield BLOCK[:left]
            left -= len(BLOCK)

    def digest(self) -> str:
        """sha256:…, computed over the bytes."""
        hasher = hashlib.sha256()
        for piece in self.pieces():
            hasher.update(piece)
        return "sha256:" + hasher.hexdigest()


@dataclass(frozen=True, slots=True)
class Image:
    """A tag: one platform makes a manifest, two an index."""

    tag: str
    platforms: tuple[tuple[Layer, ...], ...]
    label: str = ""  # an annotation: makes the digest its own where the layers are shared


@dataclass(frozen=True, slots=True)
class Content:
    """A repository."""

    repository: str
    images: tuple[Image, ...]

    @property
    def layer_bytes(self) -> int:
        """Bytes of its distinct layers."""
        layers = {each for image in self.images for layers in image.platforms for each in layers}
        return sum(layer.size for layer in layers)


@dataclass
class Pusher:
    """Puts content into a registry, straight, not through a link."""

    host: str
    repository: str
    _pushed: dict[str, int] = field(default_factory=dict)  # size by digest
    _digests: dict[Layer, str] = field(default_factory=dict)
    _turns: defaultdict[str, Lock] = field(default_factory=lambda: defaultdict(Lock))

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=f"http://{self.host}", timeout=600, trust_env=False)

    def push(self, content: Content) -> dict[str, str]:
        """Push every image; the digest by tag. BenchError names what the registry refused."""
        with self._client, ThreadPoolExecutor(PUSHERS) as pool:
            layers = {each for one in content.images for layers in one.platforms for each in layers}
            list(pool.map(self._layer, layers))
            return dict(
                zip(
                    (image.tag for image in content.images),
                    pool.map(self._image, content.images),
                    strict=True,
                )
            )

    def _sent(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise BenchError(
                f"{self.host} answered {answer.status_code} to {answer.request.method}"
                f" {answer.request.url.path}"
            )
        return answer

    def _layer(self, layer: Layer) -> None:
        self._digests[layer] = digest = layer.digest()
        self._blob(digest, layer.size, layer.pieces())

    def _blob(self, digest: str, size: int, data: Iterator[bytes] | bytes) -> None:
        # Once a digest: docker-registry rewrites a blob's link in place when it comes again, and a
        # manifest that is put meanwhile finds the link empty.
        with self._turns[digest]:
            if digest in self._pushed:
                return
            opened = self._sent(self._client.post(f"/v2/{self.repository}/blobs/uploads/"))
            where = httpx.URL(opened.headers["Location"]).copy_merge_params({"digest": digest})
            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            self._sent(self._client.put(where, content=data, headers=headers))
            self._pushed[digest] = size

    def _manifest(self, reference: str | None, media_type: str, body: object) -> tuple[str, int]:
        raw = json.dumps(body).encode()
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        url = f"/v2/{self.repository}/manifests/{reference or digest}"
        self._sent(self._client.put(url, content=raw, headers={"Content-Type": media_type}))
        return digest, len(raw)

    def _platform(self, image: Image, architecture: str, reference: str | None) -> tuple[str, int]:
        layers = image.platforms[ARCHITECTURES.index(architecture)]
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [self._digests[each] for each in layers]},
            }
        ).encode()
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        self._blob(digest, len(config), config)
        descriptors = [
            {"mediaType": LAYER, "digest": self._digests[each], "size": each.size}
            for each in layers
        ]
        body = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": len(config)},
            "layers": descriptors,
            "annotations": {"org.opencontainers.image.version": image.label},
        }
        return self._manifest(reference, MANIFEST, body)

    def _image(self, image: Image) -> str:
        if len(image.platforms) == 1:
            return self._platform(image, ARCHITECTURES[0], image.tag)[0]
        children = []
        for architecture in ARCHITECTURES[: len(image.platforms)]:
            digest, size = self._platform(image, architecture, None)
            platform = {"os": "linux", "architecture": architecture}
            children.append(
                {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform}
            )
        body = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": children,
            "annotations": {"org.opencontainers.image.version": image.label},
        }
        return self._manifest(image.tag, INDEX, body)[0]
