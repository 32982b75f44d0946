"""Upload sessions (distribution-spec v1.1, "Pushing blobs").

Every answer's Location carries a fresh `_state`, as distribution's does: a client that assembles
the address itself, or goes on with an older one, is told BLOB_UPLOAD_INVALID.
"""

from __future__ import annotations

import re
import uuid

from flows.local.fake_registry.answers import Answer, RefusalError
from flows.local.fake_registry.call import Call
from flows.local.fake_registry.digests import checked
from flows.local.fake_registry.store import Upload

_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)\Z")


async def start_upload(call: Call) -> Answer:
    """POST: a mount (201), a blob in one request (201), or a new session (202)."""
    if (digest := call.query.get("mount")) and _mountable(call, checked(digest)):
        call.store.repository(call.repository).blobs.add(digest)
        return _created(call, digest)
    if (digest := call.query.get("digest")) and call.behaviour.single_post:
        upload = call.store.start_upload(call.repository)
        await _receive(call, upload)
        return _commit(call, upload, digest)
    upload = call.store.start_upload(call.repository)
    headers = _session(call, upload)
    if call.behaviour.min_chunk is not None:
        headers["OCI-Chunk-Min-Length"] = str(call.behaviour.min_chunk)
    return Answer(202, headers)


async def patch_upload(call: Call) -> Answer:
    """PATCH: append a chunk, or the whole body as a stream; 202 with the new Location."""
    upload = _find(call)
    _check_chunk(call, upload)
    _check_order(call, upload)
    before = upload.size
    if not call.behaviour.chunks and before:
        raise RefusalError(405, "UNSUPPORTED", "only one PATCH per upload is supported")
    if upload.short_chunk:
        raise RefusalError(
            400, "BLOB_UPLOAD_INVALID", "only the last chunk may be below OCI-Chunk-Min-Length"
        )
    _begin_body(call, upload)
    await _receive(call, upload)
    if call.behaviour.min_chunk is not None:
        upload.short_chunk = upload.size - before < call.behaviour.min_chunk
    return Answer(call.behaviour.patch_status, _session(call, upload))


async def put_upload(call: Call) -> Answer:
    """PUT ?digest=: append what the body holds and make the blob; 201."""
    upload = _find(call)
    digest = checked(call.query.get("digest", ""))
    limit = call.behaviour.monolithic_limit
    if limit is not None and int(call.headers.get("Content-Length", "0")) > limit:
        raise RefusalError(413, "SIZE_INVALID", f"request body exceeds {limit} bytes")
    if call.headers.get("Content-Range"):
        _check_order(call, upload)
    _begin_body(call, upload)
    await _receive(call, upload)
    return _commit(call, upload, digest)


async def get_upload(call: Call) -> Answer:
    """GET: how far an upload has come; 204 with Location and Range."""
    if not call.behaviour.status_of_uploads:
        raise RefusalError(405, "UNSUPPORTED", "the operation is unsupported")
    if call.behaviour.resume:
        return Answer(204, _session(call, _find(call, any_state=True)))
    return Answer(204, _session(call, _find(call)))


async def delete_upload(call: Call) -> Answer:
    """DELETE: give an upload up; 204."""
    upload = _find(call)
    upload.discard()
    del call.held.uploads[upload.id]
    return Answer(204)


def _mountable(call: Call, digest: str) -> bool:
    source = call.query.get("from", "")
    return (
        call.behaviour.mount
        and call.store.blob(source, digest) is not None
        and call.may_pull(source)
    )


def _begin_body(call: Call, upload: Upload) -> None:
    if not call.behaviour.resume:
        # distribution 2.8: the state of a broken request no longer fits what was written.
        upload.state = ""


async def _receive(call: Call, upload: Upload) -> None:
    if not call.behaviour.transfer_encoding and "chunked" in call.headers.get(
        "Transfer-Encoding", ""
    ):
        raise RefusalError(400, "SIZE_INVALID", "Transfer-Encoding: chunked is not supported")
    async for chunk in call.body():
        upload.append(chunk)


def _find(call: Call, *, any_state: bool = False) -> Upload:
    if "_state" not in call.query:
        raise RefusalError(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
    held = call.store.repositories.get(call.repository)
    upload = held.uploads.get(call.reference) if held else None
    if upload is None:
        raise RefusalError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    if call.query["_state"] != upload.state and not any_state:
        raise RefusalError(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
    return upload


def _check_order(call: Call, upload: Upload) -> None:
    given = call.headers.get("Content-Range")
    if given is None or not call.behaviour.checks_content_range:
        return
    match = _CONTENT_RANGE.match(given)
    length = int(call.headers.get("Content-Length", "0"))
    fits = match and int(match[1]) == upload.size and int(match[2]) == upload.size + length - 1
    if not fits:
        raise RefusalError(
            416, "RANGE_INVALID", "invalid content range", headers=_session(call, upload)
        )


def _check_chunk(call: Call, upload: Upload) -> None:
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
            headers=_session(call, upload),
        )


def _commit(call: Call, upload: Upload, digest: str) -> Answer:
    if not call.store.commit(call.repository, upload, checked(digest)):
        raise RefusalError(
            400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail=digest
        )
    return _created(call, digest, status=call.behaviour.put_status)


def _created(call: Call, digest: str, status: int = 201) -> Answer:
    location = call.location(f"/v2/{call.repository}/blobs/{digest}")
    return Answer(status, {"Location": location, "Docker-Content-Digest": digest})


def _session(call: Call, upload: Upload) -> dict[str, str]:
    upload.state = uuid.uuid4().hex
    path = f"/v2/{call.repository}/blobs/uploads/{upload.id}?_state={upload.state}"
    return {
        "Location": call.location(path),
        # An empty upload reads 0-0 in distribution too: the ambiguity is the protocol's.
        "Range": f"0-{max(0, upload.size - 1)}",
        "Docker-Upload-UUID": upload.id,
    }
