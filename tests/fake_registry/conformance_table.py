"""The table: requests below a repository, and what every registry answers.

The repository holds IMAGE as "oci", DOCKER as "docker" and ALONE as "alone".
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Content, json_content
from flows.local.sample_registry.images import single
from tests.support.fake_registry.images import multi_platform
from tests.support.snapshot import digest_of

IMAGE = multi_platform("conformance")
DOCKER = multi_platform("conformance", docker=True)
ALONE = single("alone")
BLOB, CONTENT = next(iter(ALONE.blobs.items()))
ABSENT = digest_of(b"absent")
ORPHAN = json_content(
    {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": Content.of(b"absent", mediatypes.OCI_CONFIG).descriptor(),
        "layers": [],
    },
    mediatypes.OCI_MANIFEST,
)
CHILDLESS = json_content(
    {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [Content.of(b"absent", mediatypes.OCI_MANIFEST).descriptor()],
    },
    mediatypes.OCI_INDEX,
)


@dataclass(frozen=True)
class Row:
    """A request below /v2/REPOSITORY and what every registry answers."""

    says: str
    method: str
    path: str
    status: int
    code: str | None = None
    sends: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


ACCEPTS_INDEX = {"Accept": mediatypes.OCI_INDEX}
TABLE = (
    Row(
        "a tag answers with type, digest and bytes",
        "GET",
        "manifests/oci",
        200,
        headers=ACCEPTS_INDEX,
        answers={
            "Content-Type": mediatypes.OCI_INDEX,
            "Docker-Content-Digest": IMAGE.digest,
            "Content-Length": str(len(IMAGE.root.raw)),
        },
        body=IMAGE.root.raw,
    ),
    Row(
        "HEAD of a tag has the same headers and no body",
        "HEAD",
        "manifests/oci",
        200,
        headers=ACCEPTS_INDEX,
        answers={
            "Content-Type": mediatypes.OCI_INDEX,
            "Docker-Content-Digest": IMAGE.digest,
            "Content-Length": str(len(IMAGE.root.raw)),
        },
        body=b"",
    ),
    Row(
        "a digest answers with the same bytes",
        "GET",
        f"manifests/{IMAGE.digest}",
        200,
        headers=ACCEPTS_INDEX,
        body=IMAGE.root.raw,
    ),
    Row(
        "a Docker list keeps its type",
        "GET",
        "manifests/docker",
        200,
        headers={"Accept": mediatypes.DOCKER_LIST},
        answers={"Content-Type": mediatypes.DOCKER_LIST, "Docker-Content-Digest": DOCKER.digest},
        body=DOCKER.root.raw,
    ),
    Row(
        "an OCI index is not found by who only accepts Docker's types",
        "GET",
        "manifests/oci",
        404,
        "MANIFEST_UNKNOWN",
        headers={"Accept": mediatypes.DOCKER_LIST},
    ),
    Row(
        "an OCI index is not found by who accepts */*",
        "GET",
        "manifests/oci",
        404,
        "MANIFEST_UNKNOWN",
        headers={"Accept": "*/*"},
    ),
    Row("a tag that is not there", "GET", "manifests/none", 404, "MANIFEST_UNKNOWN"),
    Row("HEAD of a tag that is not there", "HEAD", "manifests/none", 404),
    Row("a digest that is not there", "GET", f"manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
    Row(
        "a manifest whose config is not there",
        "PUT",
        "manifests/orphan",
        400,
        "MANIFEST_BLOB_UNKNOWN",
        ORPHAN.raw,
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "an index whose child is not there",
        "PUT",
        "manifests/childless",
        400,
        "MANIFEST_BLOB_UNKNOWN",
        CHILDLESS.raw,
        {"Content-Type": mediatypes.OCI_INDEX},
    ),
    Row(
        "a manifest under another digest than its own",
        "PUT",
        f"manifests/{ABSENT}",
        400,
        "DIGEST_INVALID",
        ALONE.root.raw,
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest that is not JSON",
        "PUT",
        "manifests/broken",
        400,
        "MANIFEST_INVALID",
        b"{",
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest under another type than its own",
        "PUT",
        "manifests/other",
        400,
        "MANIFEST_INVALID",
        ALONE.root.raw,
        {"Content-Type": mediatypes.OCI_INDEX},
    ),
    Row(
        "a manifest whose layers are no list",
        "PUT",
        "manifests/broken",
        400,
        "MANIFEST_INVALID",
        b'{"schemaVersion": 2, "layers": "none"}',
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest again",
        "PUT",
        "manifests/again",
        201,
        sends=ALONE.root.raw,
        headers={"Content-Type": mediatypes.OCI_MANIFEST},
        answers={"Docker-Content-Digest": ALONE.digest},
    ),
    Row(
        "a blob",
        "GET",
        f"blobs/{BLOB}",
        200,
        answers={"Docker-Content-Digest": BLOB, "Content-Length": str(len(CONTENT))},
        body=CONTENT,
    ),
    Row(
        "HEAD of a blob",
        "HEAD",
        f"blobs/{BLOB}",
        200,
        answers={"Content-Length": str(len(CONTENT))},
        body=b"",
    ),
    Row(
        "a range of a blob",
        "GET",
        f"blobs/{BLOB}",
        206,
        headers={"Range": "bytes=10-19"},
        answers={"Content-Range": f"bytes 10-19/{len(CONTENT)}", "Content-Length": "10"},
        body=CONTENT[10:20],
    ),
    Row(
        "the rest of a blob",
        "GET",
        f"blobs/{BLOB}",
        206,
        headers={"Range": "bytes=100-"},
        answers={"Content-Range": f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}"},
        body=CONTENT[100:],
    ),
    Row("a blob that is not there", "GET", f"blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
    Row("HEAD of a blob that is not there", "HEAD", f"blobs/{ABSENT}", 404),
    Row(
        "a session without the state that its Location carries",
        "PATCH",
        f"blobs/uploads/{uuid.uuid4()}",
        404,
        "BLOB_UPLOAD_INVALID",
        b"x",
    ),
)
