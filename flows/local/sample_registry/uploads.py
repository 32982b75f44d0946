"""Upload sessions (distribution-spec v1.1, "Pushing blobs").

Every reply's Location carries a fresh `_state`, as distribution's does: a client that assembles
the address itself, or goes on with an older one, gets BLOB_UPLOAD_INVALID.
"""

from __future__ import annotations

import re
import uuid

from flows.local.sample_registry.call import Call
from flows.local.sample_registry.digests import checked
from flows.local.sample_registry.replies import RefusalError, Reply
from flows.local.sample_registry.store import StoredUpload

_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)\Z")


async def start_upload(call: Call) -> Reply:
    """POST: a mount (201), a blob in one request (201), or a new session (202)."""
    source = call.query.get("from", "")
    if (mounted := call.query.get("mount")) and call.store.blob(source, checked(mounted)):
        call.store.repository(call.repository).blobs.add(mounted)
        return _created(call, mounted)
    upload = call.store.start_upload(call.repository)
    if digest := call.query.get("digest"):
        await _receive(call, upload)
        return _commit(call, upload, digest)
    return Reply(202, session_headers(call, upload))


async def patch_upload(call: Call) -> Reply:
    """PATCH: append a chunk, or the whole body as a stream; 202 with the new Location."""
    upload = find_upload(call)
    _check_order(call, upload)
    await _receive(call, upload)
    return Reply(202, session_headers(call, upload))


async def put_upload(call: Call) -> Reply:
    """PUT ?digest=: append what the body holds and make the blob; 201."""
    upload = find_upload(call)
    digest = checked(call.query.get("digest", ""))
    _check_order(call, upload)
    await _receive(call, upload)
    return _commit(call, upload, digest)


async def get_upload(call: Call) -> Reply:
    """GET: how far an upload has come; 204 with Location and Range."""
    return Reply(204, session_headers(call, find_upload(call, any_state=True)))


async def delete_upload(call: Call) -> Reply:
    """DELETE: give an upload up; 204."""
    upload = find_upload(call)
    upload.discard()
    del call.held.uploads[upload.id]
    return Reply(204)


def find_upload(call: Call, *, any_state: bool = False) -> StoredUpload:
    """The session that a call names; 404 when it or its `_state` is unknown."""
    if "_state" not in call.query:
        raise RefusalError(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
    held = call.store.repositories.get(call.repository)
    upload = held.uploads.get(call.reference) if held else None
    if upload is None:
        raise RefusalError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    if call.query["_state"] != upload.state and not any_state:
        raise RefusalError(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
    return upload


def session_headers(call: Call, upload: StoredUpload) -> dict[str, str]:
    """Location with a fresh state, and how far the upload has come."""
    upload.state = uuid.uuid4().hex
    path = f"/v2/{call.repository}/blobs/uploads/{upload.id}"
    return {
        "Location": f"{path}?_state={upload.state}",
        # An empty upload reads 0-0 in distribution too: the ambiguity is the protocol's.
        "Range": f"0-{max(0, upload.size - 1)}",
        "Docker-Upload-UUID": upload.id,
    }


async def _receive(call: Call, upload: StoredUpload) -> None:
    async for chunk in call.body():
        upload.append(chunk)


def _check_order(call: Call, upload: StoredUpload) -> None:
    given = call.headers.get("Content-Range")
    if not given:
        return
    match = _CONTENT_RANGE.match(given)
    length = int(call.headers.get("Content-Length", "0"))
    fits = match and int(match[1]) == upload.size and int(match[2]) == upload.size + length - 1
    if not fits:
        raise RefusalError(
            416, "RANGE_INVALID", "invalid content range", headers=session_headers(call, upload)
        )


def _commit(call: Call, upload: StoredUpload, digest: str) -> Reply:
    if not call.store.commit(call.repository, upload, checked(digest)):
        raise RefusalError(
            400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail=digest
        )
    return _created(call, digest)


def _created(call: Call, digest: str) -> Reply:
    location = f"/v2/{call.repository}/blobs/{digest}"
    return Reply(201, {"Location": location, "Docker-Content-Digest": digest})
