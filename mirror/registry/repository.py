"""One repository: its manifests, and the way to its tags, blobs and referrers.

distribution-spec v1.1. Bodies of blobs are downloads.py, uploads.py and copying.py.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mirror.registry import headers, media_type as mediatypes
from mirror.registry.auth import repository_scope
from mirror.registry.blob_download import read_blob
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.error_response import Where, refused_manifest, unknown_algorithm
from mirror.registry.errors import (
    Denied,
    DigestMismatch,
    InvalidReference,
    NotFound,
    ProtocolError,
    RegistryError,
    RequestRefused,
    one_line,
)
from mirror.registry.http import Answer, Ask
from mirror.registry.manifest import MAX_BYTES, Manifest
from mirror.registry.reference import is_repository, is_tag
from mirror.registry.tag_list import list_referrers, list_tags
from mirror.registry.upload_session import cancel_session

if TYPE_CHECKING:
    from mirror.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class PutResult:
    """A manifest that the registry took.

    subject_acknowledged: it answered OCI-Subject, so it keeps the referrers list itself.
    """

    digest: str
    subject_acknowledged: bool


class Repository:
    """A repository of a registry, by name."""

    def __init__(self, registry: Registry, name: str) -> None:
        if not is_repository(name):
            raise InvalidReference(f"{one_line(name, 160)!r} is not a repository name")
        self.registry = registry
        self.name = name
        self.base = f"{registry.endpoint.base}/v2/{name}"
        self.pull = (repository_scope(name, "pull"),)
        self.push = (repository_scope(name, "pull", "push"),)
        self.remove = (repository_scope(name, "pull", "push", "delete"),)

    def __repr__(self) -> str:
        return f"Repository({self.registry.host}/{self.name})"

    def where(self, doing: str, reference: str | None = None) -> Where:
        """What a request to this repository is about, for messages."""
        return self.registry.where(doing, self.name, reference)

    async def tags(self) -> list[str]:
        """Every tag, in the registry's order ("Listing Tags"); Link is followed to its end.

        Raises NotFound when the repository does not exist, ProtocolError for a list that is none.
        """
        return await list_tags(self)

    async def head_manifest(self, reference: str) -> Descriptor | None:
        """What a tag or digest points at, by HEAD; None when the registry has no such thing.

        Falls back to GET where the answer names no digest. Only media type, digest and size of
        the descriptor are filled. A 403 is asked again by GET, since some registries answer a HEAD
        of what is absent with it.
        """
        where = self.where("looking at the manifest", reference)
        ask = Ask("HEAD", self._manifest_url(reference), where, self.pull, _ACCEPT)
        try:
            answer = await self.registry.call(ask, (200,))
        except NotFound:
            return None
        except Denied:
            return await self._head_by_get(reference)
        media_type = mediatypes.essence(answer.headers.get("content-type", ""))
        size = headers.length(answer.headers.get("content-length"))
        try:
            digest = str(parse_digest(answer.headers.get("docker-content-digest", "").strip()))
        except InvalidReference:
            digest = ""
        if ":" in reference and digest != reference:
            digest = ""
        known = mediatypes.is_manifest(media_type) or media_type in mediatypes.SCHEMA1
        if not digest or size is None or not known:
            return await self._head_by_get(reference)
        return Descriptor(media_type, digest, size)

    async def _head_by_get(self, reference: str) -> Descriptor | None:
        try:
            return (await self.get_manifest(reference)).descriptor
        except NotFound:
            return None

    async def get_manifest(self, reference: str) -> Manifest:
        """The manifest at a tag or digest, its bytes checked against the digest.

        Raises NotFound, DigestMismatch, UnsupportedMediaType (schema 1), InvalidManifest, and
        ProtocolError for one of more than 8 MiB.
        """
        where = self.where("reading the manifest", reference)
        ask = Ask("GET", self._manifest_url(reference), where, self.pull, _ACCEPT)

        async def once() -> Manifest:
            answer = await self.registry.call(ask, (200,), MAX_BYTES)
            return self._checked(answer, reference)

        try:
            return await once()
        except DigestMismatch:
            return await once()  # a cache on the way may have mixed two answers up: ask once more

    async def put_manifest(self, reference: str, manifest: Manifest) -> PutResult:
        """Push a manifest's bytes under a tag or its digest. Doing it twice does no harm.

        Raises ManifestBlobUnknown when the registry lacks what it names, RefusedMediaType when
        the registry does not take such manifests, DigestMismatch when it stored something else.
        """
        where = self.where("writing the manifest", reference)
        sent = {"Content-Type": manifest.media_type}
        url = self._manifest_url(reference)
        ask = Ask("PUT", url, where, self.push, sent, manifest.raw)
        try:
            answer = await self.registry.call(ask, (200, 201, 202, 204))
        except RegistryError as error:
            told = refused_manifest(error, error.body) or unknown_algorithm(error, reference)
            raise (told or error) from None
        stored = answer.headers.get("docker-content-digest", "").strip()
        if stored and stored != manifest.digest and stored.startswith(f"{_algorithm(manifest)}:"):
            raise DigestMismatch(
                f"{where}: the registry stored {one_line(stored, 90)} instead of {manifest.digest}",
                registry=self.registry.host,
                repository=self.name,
                reference=reference,
            )
        return PutResult(manifest.digest, "oci-subject" in answer.headers)

    async def delete_manifest(self, digest: str) -> None:
        """Delete a manifest by digest; one that is not there is no error."""
        await self._delete(str(parse_digest(digest)), "deleting the manifest")

    async def delete_tag(self, tag: str) -> None:
        """Delete a tag and nothing else, where the registry can.

        Raises RequestRefused where it cannot (distribution 2: only manifests are deleted).
        """
        if not is_tag(tag):
            raise InvalidReference(f"{one_line(tag, 160)!r} is not a tag")
        await self._delete(tag, "deleting the tag")

    async def head_blob(self, digest: str) -> int | None:
        """Size in bytes of a blob that the repository holds; None when it does not."""
        where = self.where("looking for the blob", str(parse_digest(digest)))
        ask = Ask("HEAD", f"{self.base}/blobs/{digest}", where, self.pull)
        try:
            answer = await self.registry.call(ask, (200,))
        except NotFound:
            return None
        size = headers.length(answer.headers.get("content-length"))
        if size is None:
            raise self.wrong(f"no size for blob {digest}")
        return size

    async def mount_blob(self, digest: str, from_repository: str) -> bool:
        """Take over a blob from another repository of the same registry, without moving bytes.

        False when the registry did not: it opened an upload session instead, which is cancelled,
        or refused. Never asked of a registry that is known not to mount.
        """
        if self.registry.abilities.mount is False:
            return False
        where = self.where(f"mounting from {from_repository}", str(parse_digest(digest)))
        query = f"mount={quote(digest)}&from={quote(from_repository, safe='')}"
        url = f"{self.base}/blobs/uploads/?{query}"
        scopes = (*self.push, repository_scope(from_repository, "pull"))
        ask = Ask("POST", url, where, scopes, {"Content-Length": "0"}, b"")
        try:
            answer = await self.registry.call(ask, (201, 202))
        except (NotFound, Denied, RequestRefused):
            return False
        if answer.status == 201:
            self.registry.abilities.mount = True
            return True
        await cancel_session(self, answer)
        return False

    def read_blob(self, descriptor: Descriptor, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `start`, in pieces of any size; broken connections resumed.

        Raises DigestMismatch when the size is another or, read from 0, the digest; BlobUnknown.
        """
        return read_blob(self, descriptor, start)

    async def referrers(
        self, digest: str, artifact_type: str | None = None, *, fallback: bool = True
    ) -> list[Descriptor]:
        """What refers to a manifest: by the referrers API, else (`fallback`) by the fallback tag.

        distribution-spec v1.1, "Listing Referrers" and "Unavailable Referrers API".
        """
        return await list_referrers(self, digest, artifact_type, fallback=fallback)

    async def _delete(self, reference: str, doing: str) -> None:
        where = self.where(doing, reference)
        ask = Ask("DELETE", self._manifest_url(reference), where, self.remove)
        try:
            await self.registry.call(ask, (200, 202, 204))
        except NotFound:
            return

    def _checked(self, answer: Answer, reference: str) -> Manifest:
        stated = answer.headers.get("docker-content-digest", "").strip() or None
        expected = reference if ":" in reference else stated
        media_type = answer.headers.get("content-type", "")
        try:
            return Manifest.parse(answer.body, media_type, expected)
        except RegistryError as error:
            raise type(error)(
                f"{self.registry.host}/{self.name}: {error}",
                registry=self.registry.host,
                repository=self.name,
                reference=reference,
            ) from None

    def _manifest_url(self, reference: str) -> str:
        if ":" in reference:
            parse_digest(reference)
        elif not is_tag(reference):
            raise InvalidReference(f"{one_line(reference, 160)!r} is neither a tag nor a digest")
        return f"{self.base}/manifests/{reference}"

    def wrong(self, what: str) -> ProtocolError:
        """The error of an answer that the specification does not allow."""
        return ProtocolError(
            f"{self.registry.host}/{self.name}: the registry answered with {what}",
            registry=self.registry.host,
            repository=self.name,
        )


_ACCEPT: Final = {"Accept": mediatypes.ACCEPT}


def _algorithm(manifest: Manifest) -> str:
    return parse_digest(manifest.digest).algorithm
