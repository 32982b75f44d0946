"""Blobs: GET with Range, HEAD, DELETE (distribution-spec v1.1, "Pulling blobs")."""

from __future__ import annotations

import re
import secrets

from flows.local.fake_registry.answers import Answer, RefusalError, Slice
from flows.local.fake_registry.call import Call
from flows.local.fake_registry.digests import checked
from flows.local.fake_registry.store import Blob

_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


async def get_blob(call: Call) -> Answer:
    """GET and HEAD of a blob; 206 for one byte range, 416 for one that starts past the end."""
    blob = _find(call)
    if call.cdn is not None and call.method == "GET":
        path = f"/v2/{call.repository}/blobs/{call.reference}"
        return Answer(307, {"Location": f"{call.cdn}{path}?signature={secrets.token_hex(8)}"})
    headers = {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": call.reference,
    }
    if not call.behaviour.range_reads:
        return Answer(200, headers, Slice(blob, 0, blob.size))
    headers["Accept-Ranges"] = "bytes"
    match = _RANGE.match(call.headers.get("Range", ""))
    if match is None or call.method == "HEAD":
        return Answer(200, headers, Slice(blob, 0, blob.size))
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
    return Answer(206, headers, Slice(blob, start, end))


async def delete_blob(call: Call) -> Answer:
    """DELETE of a blob from its repository: 202."""
    _find(call)
    call.held.blobs.discard(call.reference)
    return Answer(202)


def _find(call: Call) -> Blob:
    blob = call.store.blob(call.repository, checked(call.reference))
    if blob is None:
        raise RefusalError(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=call.reference)
    return blob
