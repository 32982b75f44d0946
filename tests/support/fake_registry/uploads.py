"""Uploads as registries take them that differ from the specification."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from multidict import CIMultiDict

from flows.local.sample_registry import uploads
from flows.local.sample_registry.digests import checked
from flows.local.sample_registry.replies import RefusalError, Reply
from flows.local.sample_registry.store import StoredUpload
from tests.support.fake_registry.call import FakeCall


async def start_upload(call: FakeCall) -> Reply:
    """POST, perhaps without mounts or blobs in one request."""
    behaviour, query = call.behaviour, dict(call.query)
    if digest := query.get("mount"):
        checked(digest)
        if not behaviour.mount or not call.may_pull(query.get("from", "")):
            del query["mount"]
    single = "digest" in query and "mount" not in query and behaviour.single_post
    if not behaviour.single_post:
        query.pop("digest", None)
    if single:
        _check_transfer(call)
    reply = await uploads.start_upload(replace(call, query=query))
    if single:
        reply = replace(reply, status=behaviour.put_status)
    if reply.status == 202 and behaviour.min_chunk is not None:
        least = {"OCI-Chunk-Min-Length": str(behaviour.min_chunk)}
        reply = replace(reply, headers={**reply.headers, **least})
    return reply


async def patch_upload(call: FakeCall) -> Reply:
    """PATCH, with limits on what a chunk may be."""
    behaviour = call.behaviour
    upload = uploads.find_upload(call)
    before = upload.size
    _check_chunk(call, upload)
    if not behaviour.chunks and before:
        raise RefusalError(405, "UNSUPPORTED", "only one PATCH per upload is supported")
    if upload.id in call.short_chunks:
        raise RefusalError(
            400, "BLOB_UPLOAD_INVALID", "only the last chunk may be below OCI-Chunk-Min-Length"
        )
    _check_transfer(call)
    reply = await uploads.patch_upload(_received(call, upload))
    if behaviour.min_chunk is not None and upload.size - before < behaviour.min_chunk:
        call.short_chunks.add(upload.id)
    return replace(reply, status=behaviour.patch_status)


async def put_upload(call: FakeCall) -> Reply:
    """PUT, perhaps of limited size."""
    upload = uploads.find_upload(call)
    limit = call.behaviour.monolithic_limit
    if limit is not None and int(call.headers.get("Content-Length", "0")) > limit:
        raise RefusalError(413, "SIZE_INVALID", f"request body exceeds {limit} bytes")
    _check_transfer(call)
    reply = await uploads.put_upload(_received(call, upload))
    return replace(reply, status=call.behaviour.put_status)


async def get_upload(call: FakeCall) -> Reply:
    """GET, where the registry reports an upload's progress."""
    if not call.behaviour.status_of_uploads:
        raise RefusalError(405, "UNSUPPORTED", "the operation is unsupported")
    if not call.behaviour.resume:
        uploads.find_upload(call)
    return await uploads.get_upload(call)


def _received(call: FakeCall, upload: StoredUpload) -> FakeCall:
    """The call as the upload's handler gets it."""
    headers = CIMultiDict(call.headers)
    if not call.behaviour.checks_content_range:
        headers.popall("Content-Range", None)

    async def body() -> AsyncIterator[bytes]:
        if not call.behaviour.resume:
            # distribution 2.8: the state of a broken request no longer fits what was written.
            upload.state = ""
        async for chunk in call.body():
            yield chunk

    return replace(call, headers=headers, body=body)


def _check_transfer(call: FakeCall) -> None:
    chunked = "chunked" in call.headers.get("Transfer-Encoding", "")
    if chunked and not call.behaviour.transfer_encoding:
        raise RefusalError(400, "SIZE_INVALID", "Transfer-Encoding: chunked is not supported")


def _check_chunk(call: FakeCall, upload: StoredUpload) -> None:
    behaviour = call.behaviour
    ranged = "Content-Range" in call.headers
    length = call.headers.get("Content-Length")
    if behaviour.requires_content_range and not ranged:
        raise RefusalError(400, "BLOB_UPLOAD_INVALID", "Content-Range: start-end is required")
    if not behaviour.empty_patch and length == "0":
        raise RefusalError(400, "BLOB_UPLOAD_INVALID", "an empty chunk is not accepted")
    limit = behaviour.chunk_limit
    if limit is not None and ranged and int(length or "0") > limit:
        raise RefusalError(
            416,
            "REQUESTED_RANGE_NOT_SATISFIABLE",
            f"the request body is too large and exceeds the limit of {limit} bytes",
            headers=uploads.session_headers(call, upload),
        )
