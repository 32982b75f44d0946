"""Blobs: GET with Range, HEAD, DELETE (distribution-spec v1.1, "Pulling blobs")."""

from __future__ import annotations

import re

from flows.local.sample_registry.call import Call
from flows.local.sample_registry.digests import checked
from flows.local.sample_registry.replies import RefusalError, Reply, Slice
from flows.local.sample_registry.store import StoredBlob

_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


async def get_blob(call: Call) -> Reply:
    """GET and HEAD of a blob; 206 for one byte range, 416 for one that starts past the end."""
    blob = find_blob(call)
    headers = {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": call.reference,
        "Accept-Ranges": "bytes",
    }
    match = _RANGE.match(call.headers.get("Range", ""))
    if match is None or call.method == "HEAD":
        return Reply(200, headers, Slice(blob, 0, blob.size))
    start = int(match[1])
    end = min(int(match[2]) + 1 if match[2] else blob.size, blob.size)
    if start >= blob.size or end <= start:
        raise RefusalError(
            416,
            "RANGE_INVALID",
            "the range is outside the blob",
            headers={"Content-Range": f"bytes */{blob.size}"},
        )
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    return Reply(206, headers, Slice(blob, start, end))


async def delete_blob(call: Call) -> Reply:
    """DELETE of a blob from its repository: 202."""
    find_blob(call)
    call.held.blobs.discard(call.reference)
    return Reply(202)


def find_blob(call: Call) -> StoredBlob:
    """The blob that a call names; 404 BLOB_UNKNOWN where its repository does not hold it."""
    blob = call.store.blob(call.repository, checked(call.reference))
    if blob is None:
        raise RefusalError(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=call.reference)
    return blob
