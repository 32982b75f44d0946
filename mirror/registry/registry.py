"""A registry and its repositories: the way in.

distribution-spec v1.1. Manifests are here; tag lists, referrers and blobs have their own files.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mirror.registry import headers, media_type
from mirror.registry.auth import repository_scope
from mirror.registry.blob_download import read_blob
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.error_response import refused_manifest
from mirror.registry.errors import (
    Denied,
    DigestMismatch,
    InvalidReference,
    NotFound,
    RegistryError,
    RequestRefused,
    one_line,
)
from mirror.registry.http import HttpSession
from mirror.registry.manifest import MAX_BYTES, Manifest
from mirror.registry.reference import is_tag
from mirror.registry.referrers import fallback_tag, list_referrers
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.request import Request, RequestContext, Response
from mirror.registry.tag_list import list_tags
from mirror.registry.upload_session import UploadSession

_ACCEPT: Final = {"Accept": media_type.ACCEPT}


class Registry(HttpSession):
    """A registry and the connections to it; an async context manager.

    `requests` counts every HTTP request sent for it, `quota` is what its headers last said of the
    pull quota, `capabilities` is what it turned out to support.
    """

    def repository(self, name: str) -> Repository:
        """A repository by name, without its registry; raises InvalidReference."""
        return Repository(self, name)

    async def ping(self) -> None:
        """Reach the registry and log in ("Determining Support").

        Raises Unauthorized, ConnectionFailed, TimedOut, or NotFound where there is no registry.
        """
        context = RequestContext(self.host, "checking the API version")
        await self.call(Request("GET", f"{self.endpoint.base}/v2/", context), (200,))


@dataclass(frozen=True, slots=True)
class PutResult:
    """A manifest that the registry took.

    subject_acknowledged: it answered OCI-Subject, so it keeps the referrers list itself.
    """

    digest: str
    subject_acknowledged: bool


class Repository(RepositoryApi):
    """A repository of a registry, by name."""

    async def tags(self) -> list[str]:
        """Every tag, in the registry's order ("Listing Tags"); Link is followed to its end.

        Raises NotFound when the repository does not exist, ProtocolError for an invalid list.
        """
        return await list_tags(self)

    async def head_manifest(self, reference: str) -> Descriptor | None:
        """What a tag or digest points at, by HEAD; None when the registry has no such thing.

        Falls back to GET where the response names no digest. Only media type, digest and size of
        the descriptor are filled. A 403 is checked by GET, since some registries answer a HEAD of
        what is absent with it.
        """
        context = self.context("looking at the manifest", reference)
        request = Request("HEAD", self._manifest_url(reference), context, self.pull, _ACCEPT)
        try:
            response = await self.registry.call(request, (200,))
        except NotFound:
            return None
        except Denied:
            return await self._head_by_get(reference)
        kind = media_type.essence(response.headers.get("content-type", ""))
        size = headers.length(response.headers.get("content-length"))
        try:
            digest = str(parse_digest(response.headers.get("docker-content-digest", "").strip()))
        except InvalidReference:
            digest = ""
        if ":" in reference and digest != reference:
            digest = ""
        known = media_type.is_manifest(kind) or kind in media_type.SCHEMA1
        if not digest or size is None or not known:
            return await self._head_by_get(reference)
        return Descriptor(kind, digest, size)

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
        context = self.context("reading the manifest", reference)
        request = Request("GET", self._manifest_url(reference), context, self.pull, _ACCEPT)
        response = await self.registry.call(request, (200,), MAX_BYTES)
        try:
            return self._checked(response, reference)
        except DigestMismatch:
            # A cache in between may have mixed up two responses: request it once more.
            response = await self.registry.call(request, (200,), MAX_BYTES)
            return self._checked(response, reference)

    async def put_manifest(self, reference: str, manifest: Manifest) -> PutResult:
        """Push a manifest's bytes under a tag or its digest; idempotent.

        Raises ManifestBlobUnknown when the registry lacks what it names, RefusedMediaType when
        the registry does not take such manifests, DigestMismatch when it stored something else.
        """
        context = self.context("writing the manifest", reference)
        sent = {"Content-Type": manifest.media_type}
        url = self._manifest_url(reference)
        request = Request("PUT", url, context, self.push, sent, manifest.raw)
        try:
            response = await self.registry.call(request, (200, 201, 202, 204))
        except RegistryError as error:
            raise (refused_manifest(error, reference) or error) from None
        stored = response.headers.get("docker-content-digest", "").strip()
        algorithm = parse_digest(manifest.digest).algorithm
        if stored and stored != manifest.digest and stored.startswith(f"{algorithm}:"):
            raise context.error(
                DigestMismatch,
                f"the registry stored {one_line(stored, 90)} instead of {manifest.digest}",
            )
        return PutResult(manifest.digest, "oci-subject" in response.headers)

    async def delete_manifest(self, digest: str) -> None:
        """Delete a manifest by digest; an absent one is not an error."""
        await self._delete(str(parse_digest(digest)), "deleting the manifest")

    async def delete_tag(self, tag: str) -> None:
        """Delete a tag and nothing else, where the registry supports that.

        Raises RequestRefused where it does not (distribution 2 deletes only manifests).
        """
        if not is_tag(tag):
            raise InvalidReference(f"{one_line(tag, 160)!r} is not a tag")
        await self._delete(tag, "deleting the tag")

    async def mount_blob(self, digest: str, from_repository: str) -> bool:
        """Mount a blob from another repository of the same registry, without moving bytes.

        False when the registry refused, or opened an upload session instead, which is cancelled.
        Not attempted at a registry that is known not to mount.
        """
        if self.registry.capabilities.mount is False:
            return False
        context = self.context(f"mounting from {from_repository}", str(parse_digest(digest)))
        query = f"mount={quote(digest)}&from={quote(from_repository, safe='')}"
        url = f"{self.base}/blobs/uploads/?{query}"
        scopes = (*self.push, repository_scope(from_repository, "pull"))
        request = Request("POST", url, context, scopes, {"Content-Length": "0"}, b"")
        try:
            response = await self.registry.call(request, (201, 202))
        except (NotFound, Denied, RequestRefused):
            return False
        if response.status == 201:
            self.registry.capabilities.mount = True
            return True
        await UploadSession(self, "", response).cancel()
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
        found = await list_referrers(self, digest, artifact_type)
        if found is None and fallback:
            try:
                found = list((await self.get_manifest(fallback_tag(digest))).children)
            except NotFound:
                found = None
        if artifact_type is None:
            return found or []
        return [one for one in found or () if one.artifact_type == artifact_type]

    async def _delete(self, reference: str, doing: str) -> None:
        context = self.context(doing, reference)
        request = Request("DELETE", self._manifest_url(reference), context, self.remove)
        try:
            await self.registry.call(request, (200, 202, 204))
        except NotFound:
            return

    def _checked(self, response: Response, reference: str) -> Manifest:
        stated = response.headers.get("docker-content-digest", "").strip() or None
        expected = reference if ":" in reference else stated
        try:
            return Manifest.parse(response.body, response.headers.get("content-type", ""), expected)
        except RegistryError as error:
            raise self.context("", reference).error(type(error), str(error)) from None

    def _manifest_url(self, reference: str) -> str:
        if ":" in reference:
            parse_digest(reference)
        elif not is_tag(reference):
            raise InvalidReference(f"{one_line(reference, 160)!r} is neither a tag nor a digest")
        return f"{self.base}/manifests/{reference}"
