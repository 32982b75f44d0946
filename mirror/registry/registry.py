"""A registry and its repositories: the way in.

distribution-spec v1.1. Manifests are here; tag lists, referrers and blobs have their own files.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mirror.outside_text import one_line
from mirror.registry.blob_download import read_blob
from mirror.registry.blob_source import OpenBlob, RemoteBlob, read_small
from mirror.registry.http import (
    ANSWER_SECONDS,
    ATTEMPTS,
    HttpSession,
    OptionalRequest,
    Request,
    Response,
    headers,
    is_cut,
    refused_by_policy,
    refused_manifest,
    repository_scope,
)
from mirror.registry.referrers import fallback_tag, list_referrers
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    MAX_BYTES,
    BudgetExceeded,
    Denied,
    Descriptor,
    DigestMismatch,
    InvalidManifest,
    InvalidReference,
    Manifest,
    NotFound,
    RegistryError,
    is_tag,
    let_go,
    media_type,
    parse_digest,
)
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
        await self._ping()


@dataclass(frozen=True, slots=True)
class PutResult:
    """A manifest that the registry took.

    subject_acknowledged: it answered OCI-Subject, so it keeps the referrers list itself.
    """

    digest: str
    subject_acknowledged: bool


class Repository(RepositoryApi):
    """A repository of a registry, by name.

    odd_tags: what the last list of tags held that is no tag, and left out.
    """

    odd_tags: tuple[str, ...] = ()

    async def tags(self) -> list[str]:
        """Every tag, in the registry's order ("Listing Tags"); Link is followed to its end.

        Raises NotFound when the repository does not exist, ProtocolError for an invalid list.
        """
        found = await list_tags(self)
        self.odd_tags = found.odd
        return list(found.tags)

    async def head_manifest(self, reference: str) -> Descriptor | None:
        """What a tag or digest points at, by HEAD; None when the registry has no such thing.

        By GET where HEAD fails or its response names no digest. Only media type, digest and size
        of the descriptor are filled.
        """
        return await self.registry.prefer(
            OptionalRequest.HEAD_MANIFEST,
            lambda: self._head(reference),
            lambda: self._head_by_get(reference),
        )

    async def _head(self, reference: str) -> Descriptor | None:
        context = self.context("looking at the manifest", reference)
        request = Request(
            *("HEAD", self._manifest_url(reference), context, self.pull, _ACCEPT),
            attempts=ATTEMPTS,
            answer_in=ANSWER_SECONDS,
        )
        try:
            response = await self.registry.call(request, (200,))
        except NotFound:
            return None
        except Denied as error:
            # Some registries answer so for what is absent: that says nothing of HEAD.
            found = await self._head_by_get(reference)
            if found is not None:
                now = self.registry.clock.now()
                self.registry.capabilities.remember(OptionalRequest.HEAD_MANIFEST, error, now)
            return found
        self._learn_of_pulls()
        kind = media_type.essence(response.headers.get("content-type", ""))
        size = headers.length(response.headers.get("content-length"))
        if response.headers.get("content-encoding", "identity") != "identity":
            size = None  # that of the encoded bytes
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

    def _learn_of_pulls(self) -> None:
        """Note whether responses about manifests speak of a pull quota."""
        self.registry.capabilities.counts_pulls = self.registry.quota is not None

    async def _head_by_get(self, reference: str) -> Descriptor | None:
        try:
            return (await self.get_manifest(reference)).descriptor
        except NotFound:
            return None

    async def get_manifest(self, reference: str) -> Manifest:
        """The manifest at a tag or digest, its bytes checked against the digest.

        Raises NotFound, DigestMismatch, UnsupportedMediaType (schema 1), InvalidManifest,
        ProtocolError for one of more than 8 MiB, and BudgetExceeded.
        """
        context = self.context("reading the manifest", reference)
        request = Request("GET", self._manifest_url(reference), context, self.pull, _ACCEPT)
        mismatches = 0

        def check(response: Response) -> None:
            nonlocal mismatches
            try:
                self._checked(response, reference)
            except DigestMismatch as error:
                # It was cut, or a cache in between has mixed up two responses.
                mismatches += 1
                error.transient = mismatches < ATTEMPTS
                raise
            except InvalidManifest as error:
                error.transient = is_cut(response.body)
                raise

        response = await self.registry.call(request, (200,), MAX_BYTES, check)
        manifest = self._checked(response, reference)
        self._learn_of_pulls()
        del response
        try:
            self.registry.budget.hold(manifest, context)
        except BudgetExceeded as error:
            del manifest
            let_go(error)
            raise
        if self.registry.counts:
            self.registry.budget.descriptors(manifest.named, context)
        return manifest

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
            read = refused_manifest(error, reference)
            raise (read or refused_by_policy(error) or error) from None
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
        Not attempted at a registry that is known not to mount, for whatever reason.
        """

        async def upload() -> bool:
            return False

        return await self.registry.prefer(
            OptionalRequest.MOUNT, lambda: self._mount(digest, from_repository), upload
        )

    async def _mount(self, digest: str, from_repository: str) -> bool:
        context = self.context(f"mounting from {from_repository}", str(parse_digest(digest)))
        query = f"mount={quote(digest)}&from={quote(from_repository, safe='')}"
        url = f"{self.base}/blobs/uploads/?{query}"
        scopes = (*self.push, repository_scope(from_repository, "pull"))
        request = Request(
            *("POST", url, context, scopes, {"Content-Length": "0"}, b""),
            attempts=ATTEMPTS,
            answer_in=ANSWER_SECONDS,
        )
        try:
            response = await self.registry.call(request, (201, 202))
        except NotFound:
            return False  # the other repository has lost the blob
        if response.status == 201:
            self.registry.capabilities.mount = True
            return True
        with suppress(RegistryError):
            await UploadSession(self, "", response).cancel()
        return False

    def read_blob(self, descriptor: Descriptor, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from `start`, in pieces of any size; broken connections resumed.

        Raises DigestMismatch when the size is another or, read from 0, the digest; BlobUnknown.
        """
        return read_blob(self, descriptor, start)

    def open_blob(self, descriptor: Descriptor) -> OpenBlob:
        """A large blob, to be copied from here. Sends nothing yet."""
        return RemoteBlob(self, descriptor)

    async def small_blob(self, descriptor: Descriptor) -> bytes:
        """A blob of 1 MiB at most, verified. Raises DigestMismatch and other RegistryErrors."""
        return await read_small(self, descriptor)

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
