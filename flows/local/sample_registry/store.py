"""What a demo registry holds: repositories, tags, manifests, blobs and uploads under way.

Small blobs stay in memory, larger ones go to files of a temporary folder, so that gigabytes pass
through in constant memory.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

SPOOL_AT = 4 * 1024 * 1024
READ_SIZE = 256 * 1024


@dataclass(frozen=True)
class Blob:
    """A blob's content: bytes, or a file."""

    size: int
    content: bytes | Path

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes start (inclusive) to end (exclusive), in pieces of at most 256 KiB."""
        if isinstance(self.content, bytes):
            for offset in range(start, end, READ_SIZE):
                yield self.content[offset : min(end, offset + READ_SIZE)]
            return
        with self.content.open("rb", buffering=0) as file:
            file.seek(start)
            left = end - start
            while left > 0 and (chunk := file.read(min(READ_SIZE, left))):
                left -= len(chunk)
                yield chunk

    def read(self) -> bytes:
        """The whole content."""
        return b"".join(self.chunks(0, self.size))


@dataclass(frozen=True)
class StoredManifest:
    """A manifest's bytes as they came, with the media type they came under."""

    raw: bytes
    media_type: str
    digest: str


@dataclass(frozen=True)
class Push:
    """One manifest that was pushed; tag is None when it was pushed by digest."""

    repository: str
    tag: str | None
    manifest: StoredManifest
    pushed_at: datetime


@dataclass
class Upload:
    """An upload session: bytes appended so far, hashed on the way."""

    id: str
    folder: Callable[[], Path]
    size: int = 0
    state: str = field(default_factory=lambda: uuid.uuid4().hex)
    short_chunk: bool = False
    _memory: bytearray = field(default_factory=bytearray)
    _file: IO[bytes] | None = None
    _path: Path | None = None
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        if self._file is not None:
            self._file.write(chunk)
            return
        self._memory += chunk
        if len(self._memory) > SPOOL_AT:
            self._path = self.folder() / self.id
            self._file = self._path.open("wb")
            self._file.write(self._memory)
            self._memory = bytearray()

    def finish(self) -> Blob:
        """The content as a blob; nothing more may be appended."""
        if self._file is None or self._path is None:
            return Blob(self.size, bytes(self._memory))
        self._file.close()
        return Blob(self.size, self._path)

    def digest(self, blob: Blob, algorithm: str) -> str:
        """The finished content's digest by `algorithm` (sha256 or sha512)."""
        if algorithm == "sha256":
            return f"sha256:{self._sha256.hexdigest()}"
        other = hashlib.new(algorithm)
        for chunk in blob.chunks(0, blob.size):
            other.update(chunk)
        return f"{algorithm}:{other.hexdigest()}"

    def discard(self) -> None:
        """Forget the content."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)


@dataclass
class RepositoryStore:
    """One repository: its tags, manifests, the digests of its blobs and its uploads."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    pushed_at: dict[str, datetime] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    uploads: dict[str, Upload] = field(default_factory=dict)
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
        self.blobs: dict[str, Blob] = {}
        self.listeners: list[Callable[[Push], None]] = []
        self._clock = clock
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Remove the files of large blobs."""
        for repository in self.repositories.values():
            for upload in repository.uploads.values():
                upload.discard()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def repository(self, name: str) -> RepositoryStore:
        """The repository `name`, made when it is not there yet."""
        return self.repositories.setdefault(name, RepositoryStore(name))

    def blob(self, repository: str, digest: str) -> Blob | None:
        """A blob as far as `repository` holds it."""
        held = self.repositories.get(repository)
        return self.blobs.get(digest) if held and digest in held.blobs else None

    def start_upload(self, repository: str) -> Upload:
        """Open an upload session."""
        upload = Upload(str(uuid.uuid4()), self._folder)
        self.repository(repository).uploads[upload.id] = upload
        return upload

    def commit(self, repository: str, upload: Upload, digest: str) -> bool:
        """Make a blob of an upload; False, and nothing kept, when the digest does not match."""
        del self.repository(repository).uploads[upload.id]
        blob = upload.finish()
        if upload.digest(blob, digest.partition(":")[0]) != digest:
            upload.discard()
            return False
        if digest in self.blobs:
            upload.discard()
        else:
            self.blobs[digest] = blob
        self.repository(repository).blobs.add(digest)
        return True

    def _folder(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="demo-registry-")
        return Path(self._temporary.name)

    def add_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> str:
        """Put a blob there directly; returns its digest."""
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        self.blobs.setdefault(digest, Blob(len(content), content))
        self.repository(repository).blobs.add(digest)
        return digest

    def add_manifest(self, repository: str, manifest: StoredManifest, tag: str | None) -> None:
        """Keep a manifest, point `tag` at it and tell the listeners."""
        held = self.repository(repository)
        held.manifests[manifest.digest] = manifest
        now = self._clock()
        if tag is not None:
            held.tags[tag] = manifest.digest
            held.pushed_at[tag] = now
        for listener in self.listeners:
            listener(Push(repository, tag, manifest, now))
