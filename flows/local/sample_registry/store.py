"""What a sample registry holds, in memory: repositories, tags, manifests, blobs and uploads."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flows.local.sample_registry.content import Content, Image

READ_SIZE = 256 * 1024


@dataclass(frozen=True)
class StoredBlob:
    """A blob's content."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes start (inclusive) to end (exclusive), in pieces of at most 256 KiB."""
        for offset in range(start, end, READ_SIZE):
            yield self.content[offset : min(end, offset + READ_SIZE)]

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self.chunks(0, self.size))


@dataclass(frozen=True)
class StoredManifest:
    """A manifest's bytes as they came, with the media type they came under."""

    raw: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, content: Content) -> StoredManifest:
        """A sample manifest as a registry keeps it."""
        return cls(content.raw, content.media_type, content.digest)


@dataclass(frozen=True)
class Push:
    """One manifest that was pushed; tag is None when it was pushed by digest."""

    repository: str
    tag: str | None
    manifest: StoredManifest
    pushed_at: datetime


@dataclass
class StoredUpload:
    """An upload session: bytes appended so far, hashed as they arrive."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    size: int = 0
    state: str = field(default_factory=lambda: uuid.uuid4().hex)
    _content: bytearray = field(default_factory=bytearray)
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._content += chunk

    def finish(self) -> StoredBlob:
        """The content as a blob; nothing more may be appended."""
        return StoredBlob(bytes(self._content))

    def digest(self, blob: StoredBlob, algorithm: str) -> str:
        """The finished content's digest by `algorithm` (sha256 or sha512)."""
        if algorithm == "sha256":
            return f"sha256:{self._sha256.hexdigest()}"
        other = hashlib.new(algorithm)
        for chunk in blob.chunks(0, blob.size):
            other.update(chunk)
        return f"{algorithm}:{other.hexdigest()}"

    def discard(self) -> None:
        """Forget the content."""
        self._content.clear()


@dataclass
class RepositoryStore:
    """One repository: its tags, manifests, the digests of its blobs and its uploads."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    pushed_at: dict[str, datetime] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    uploads: dict[str, StoredUpload] = field(default_factory=dict)
    pulls: int = 0

    def resolve(self, reference: str) -> StoredManifest | None:
        """The manifest of a tag or digest; None when absent."""
        digest = self.tags.get(reference, reference)
        return self.manifests.get(digest)

    def delete_manifest(self, digest: str) -> None:
        """Remove a manifest and the tags that point at it."""
        del self.manifests[digest]
        for tag in [tag for tag, target in self.tags.items() if target == digest]:
            self.delete_tag(tag)

    def delete_tag(self, tag: str) -> None:
        """Remove a tag; the manifest stays."""
        del self.tags[tag]
        self.pushed_at.pop(tag, None)


class Store:
    """All repositories of a registry. Blob contents are shared, their visibility is not."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.repositories: dict[str, RepositoryStore] = {}
        self.blobs: dict[str, StoredBlob] = {}
        self.listeners: list[Callable[[Push], None]] = []
        self._clock = clock

    def repository(self, name: str) -> RepositoryStore:
        """The repository `name`, created when it does not exist yet."""
        return self.repositories.setdefault(name, RepositoryStore(name))

    def blob(self, repository: str, digest: str) -> StoredBlob | None:
        """A blob as far as `repository` holds it."""
        held = self.repositories.get(repository)
        return self.blobs.get(digest) if held and digest in held.blobs else None

    def new_upload(self) -> StoredUpload:
        """An empty upload; a subclass may keep its bytes elsewhere."""
        return StoredUpload()

    def start_upload(self, repository: str) -> StoredUpload:
        """Open an upload session."""
        upload = self.new_upload()
        self.repository(repository).uploads[upload.id] = upload
        return upload

    def commit(self, repository: str, upload: StoredUpload, digest: str) -> bool:
        """Make a blob of an upload; False, and nothing kept, when the digest does not match."""
        del self.repository(repository).uploads[upload.id]
        blob = upload.finish()
        matches = upload.digest(blob, digest.partition(":")[0]) == digest
        if not matches or digest in self.blobs:
            upload.discard()
        else:
            self.blobs[digest] = blob
        if matches:
            self.repository(repository).blobs.add(digest)
        return matches

    def add_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> str:
        """Put a blob there directly; returns its digest."""
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        self.blobs.setdefault(digest, StoredBlob(content))
        self.repository(repository).blobs.add(digest)
        return digest

    def add_manifest(self, repository: str, manifest: StoredManifest, tag: str | None) -> None:
        """Keep a manifest, point `tag` at it and inform the listeners."""
        held = self.repository(repository)
        held.manifests[manifest.digest] = manifest
        now = self._clock()
        if tag is not None:
            held.tags[tag] = manifest.digest
            held.pushed_at[tag] = now
        for listener in self.listeners:
            listener(Push(repository, tag, manifest, now))

    def add_image(self, repository: str, tags: Iterable[str], image: Image) -> None:
        """Put an image, its referrers and tags there directly."""
        for digest, raw in image.blobs.items():
            self.add_blob(repository, raw, digest.partition(":")[0])
        for content in image.manifests:
            self.add_manifest(repository, StoredManifest.of(content), None)
        for tag in tags:
            self.add_manifest(repository, StoredManifest.of(image.root), tag)
        for referrer in image.referrers:
            self.add_image(repository, (), referrer)
