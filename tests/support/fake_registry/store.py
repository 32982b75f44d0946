"""A store that keeps large blobs in files, so that gigabytes pass through in constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flows.local.sample_registry.store import READ_SIZE, Store, StoredBlob, StoredUpload

SPOOL_AT = 4 * 1024 * 1024


@dataclass(frozen=True)
class SpooledBlob(StoredBlob):
    """A blob whose content is a file."""

    content: bytes = b""
    path: Path = Path()

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes start (inclusive) to end (exclusive), in pieces of at most 256 KiB."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            left = end - start
            while left > 0 and (chunk := file.read(min(READ_SIZE, left))):
                left -= len(chunk)
                yield chunk


def _no_folder() -> Path:
    raise RuntimeError("a spooled upload needs a folder")


@dataclass
class SpooledUpload(StoredUpload):
    """An upload that moves to a file once it is large."""

    folder: Callable[[], Path] = field(default=_no_folder)
    _file: IO[bytes] | None = None

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        super().append(chunk)
        if self.size > SPOOL_AT:
            if self._file is None:
                self._file = self._path.open("wb")
            self._file.write(self._content)
            self._content.clear()

    def finish(self) -> StoredBlob:
        """The content as a blob; nothing more may be appended."""
        if self._file is None:
            return super().finish()
        self._file.close()
        return SpooledBlob(path=self._path)

    def discard(self) -> None:
        """Forget the content."""
        super().discard()
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def __del__(self) -> None:
        """A fault may have forgotten it half-way."""
        if self._file is not None:
            self._file.close()

    @property
    def _path(self) -> Path:
        return self.folder() / self.id


class SpoolingStore(Store):
    """A Store with large blobs in files of a temporary folder; `close` removes them."""

    _temporary: tempfile.TemporaryDirectory[str] | None = None

    def new_upload(self) -> StoredUpload:
        """An empty upload."""
        return SpooledUpload(folder=self._folder)

    def close(self) -> None:
        """Remove the files of large blobs."""
        for repository in self.repositories.values():
            for upload in repository.uploads.values():
                upload.discard()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _folder(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="fake-registry-")
        return Path(self._temporary.name)
