"""What a registry's answer means: its error bodies as errors of the tree.

distribution-spec v1.1, "Error Codes": `{"errors": [{"code", "message", "detail"}]}`; yet the body
of a 4xx or 5xx may be anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from mirror.registry.errors import (
    BlobUnknown,
    Denied,
    ManifestBlobUnknown,
    NotFound,
    ProtocolError,
    QuotaExhausted,
    RefusedMediaType,
    RegistryError,
    RequestRefused,
    ServerError,
    StorageFull,
    Throttled,
    TimedOut,
    Unauthorized,
    UploadUnknown,
    one_line,
)
from mirror.registry.known_registries import denial_hint
from mirror.registry.retries import RETRIED_STATUSES

_NO_ROOM: Final = re.compile(
    r"no space left|disk quota|insufficient storage|storage quota|quota exceeded"
    r"|exceed the configured upper limit|\"Err\":\s*28\b",
    re.IGNORECASE,
)
_PULL_LIMIT: Final = re.compile(r"pull rate limit|unauthenticated pull", re.IGNORECASE)
_REFUSED_CLASS: Final = re.compile(
    r"unknown manifest class|unsupported (?:media|manifest)|media ?type.{0,80}not "
    r"(?:supported|allowed|accepted)|unknown media ?type|invalid media ?type"
    r"|unrecognized manifest|manifest type unsupported",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Where:
    """What a request is about, for messages: `at` it, what `doing`."""

    registry: str
    doing: str  # "reading the manifest", "uploading a blob"
    repository: str | None = None
    reference: str | None = None
    origin: str | None = None  # of the credential in use; None: anonymous

    def __str__(self) -> str:
        if self.repository is None:
            return self.registry
        mark = "@" if self.reference and ":" in self.reference else ":"
        tail = f"{mark}{self.reference}" if self.reference else ""
        return f"{self.registry}/{self.repository}{tail}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """An entry of a registry's error body."""

    code: str
    message: str
    detail: str


def complaints(body: bytes) -> tuple[Complaint, ...]:
    """The entries of an error body of any form; text that is no JSON is one without a code."""
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        plain = re.sub(r"<[^>]{0,200}>", " ", text)
        return (Complaint("", one_line(plain, 200), ""),) if plain.strip() else ()
    found = document.get("errors") if isinstance(document, dict) else None
    entries = found if isinstance(found, list) else [found if isinstance(found, dict) else document]
    return tuple(_complaint(entry) for entry in entries[:10] if entry)


def _complaint(entry: object) -> Complaint:
    if not isinstance(entry, dict):
        return Complaint("", one_line(str(entry), 200), "")
    return Complaint(
        code=_word(entry, ("code", "error", "errorCode")).upper(),
        message=one_line(_word(entry, ("message", "msg", "details", "error_description")), 240),
        detail=one_line(_dumped(entry.get("detail")), 200),
    )


def _word(entry: dict[str, Any], keys: Iterable[str]) -> str:
    return next((str(entry[key]) for key in keys if isinstance(entry.get(key), str | int)), "")


def _dumped(detail: object) -> str:
    try:
        return "" if detail is None else json.dumps(detail)
    except (ValueError, RecursionError):
        return ""


def failure(
    response: httpx.Response, body: bytes, where: Where, wait: float | None
) -> RegistryError:
    """The error that an answer of 3xx, 4xx or 5xx stands for.

    wait: seconds that its Retry-After asks for. Nothing of the request is put into the message.
    """
    status = response.status_code
    said = complaints(body)
    codes = {entry.code for entry in said}
    words = " ".join(f"{entry.message} {entry.detail}" for entry in said)
    kind = _kind(status, codes, words, response)
    return kind(
        f"{where}: {_explanation(kind, where, status)}"
        f"{_quoted(status, said)}{_advice(kind, where)}",
        registry=where.registry,
        repository=where.repository,
        reference=where.reference,
        status=status,
        code=next((entry.code for entry in said if entry.code), None),
        transient=status in RETRIED_STATUSES and kind not in (QuotaExhausted, StorageFull),
        retry_after=wait,
    )


_BY_CODE: Final[dict[str, type[RegistryError]]] = {
    "DENIED": Denied,
    "UNAUTHORIZED": Unauthorized,
    "BLOB_UPLOAD_UNKNOWN": UploadUnknown,
    "BLOB_UNKNOWN": BlobUnknown,
    "MANIFEST_BLOB_UNKNOWN": ManifestBlobUnknown,
    "MANIFEST_UNKNOWN": NotFound,
    "NAME_UNKNOWN": NotFound,
    "NOT_FOUND": NotFound,
    "UNSUPPORTED": RequestRefused,
}


def _kind(
    status: int, codes: set[str], words: str, response: httpx.Response
) -> type[RegistryError]:
    if status == 507 or (status != 404 and _NO_ROOM.search(words)):
        return StorageFull
    if status == 429:
        spent = response.headers.get("ratelimit-remaining", "").split(";")[0].strip() == "0"
        return QuotaExhausted if spent or _PULL_LIMIT.search(words) else Throttled
    if status == 401:
        return Unauthorized
    if status in (408, 504, 522, 524):
        return TimedOut
    if status >= 500 or status == 499:
        return ServerError
    if 400 <= status < 500:
        named = next((_BY_CODE[code] for code in codes if code in _BY_CODE), None)
        if named is not None:
            return Denied if named is Unauthorized and status == 403 else named
        return {403: Denied, 404: NotFound}.get(status, RequestRefused)
    return ProtocolError


def refused_manifest(error: RegistryError, said: bytes) -> RegistryError | None:
    """The error of a manifest PUT read as a refusal of what the manifest is, or None if it is none.

    Aliyun's personal edition answers 403 `denied: unknown manifest class for <type>`; others 400
    MANIFEST_INVALID, 415, or 404/400 MANIFEST_BLOB_UNKNOWN for missing parts.
    """
    entries = complaints(said)
    words = " ".join(f"{entry.message} {entry.detail}" for entry in entries)
    codes = {entry.code for entry in entries}
    kind: type[RegistryError] | None = None
    if codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}:
        kind = ManifestBlobUnknown
    elif (
        error.status == 415
        or _REFUSED_CLASS.search(words)
        or (error.status in (400, 422) and codes & {"MANIFEST_INVALID", "UNSUPPORTED"})
    ):
        kind = RefusedMediaType
    if kind is None:
        return None
    return kind(
        str(error),
        registry=error.registry,
        repository=error.repository,
        reference=error.reference,
        status=error.status,
        code=error.code,
    )


def unknown_algorithm(error: RegistryError, reference: str) -> RegistryError | None:
    """The error of a manifest PUT by a digest other than sha256, read as what it is.

    distribution 2 and what is built on it compute a manifest's sha256 whatever it is pushed by, and
    say that the content does not match.
    """
    algorithm, by_digest, _ = reference.partition(":")
    if not by_digest or algorithm == "sha256" or error.code != "DIGEST_INVALID":
        return None
    return RefusedMediaType(
        f"{error.registry}/{error.repository}@{reference}: the registry does not take manifests"
        f" by {algorithm} (HTTP {error.status}: {error.code})",
        registry=error.registry,
        repository=error.repository,
        reference=reference,
        status=error.status,
        code=error.code,
    )


def _explanation(kind: type[RegistryError], where: Where, status: int) -> str:
    who = f"the credential from {where.origin}" if where.origin else "an anonymous user"
    known: dict[type[RegistryError], str] = {
        Unauthorized: f"the registry does not accept {who} for {where.doing}",
        Denied: f"the registry denies {who} {where.doing}",
        NotFound: "not found",
        BlobUnknown: "the registry has no such blob",
        ManifestBlobUnknown: "the registry lacks a blob or child of the manifest",
        UploadUnknown: "the registry has lost the upload session",
        QuotaExhausted: f"the pull quota of {who} is used up",
        Throttled: f"too many requests while {where.doing}",
        StorageFull: f"the registry has no room left for {where.doing}",
        TimedOut: f"the registry gave up {where.doing}",
        ProtocolError: f"an answer that was not expected while {where.doing}",
    }
    return known.get(
        kind,
        f"the registry failed {where.doing}"
        if status >= 500
        else f"the registry refused {where.doing}",
    )


def _quoted(status: int, said: tuple[Complaint, ...]) -> str:
    first = next((entry for entry in said if entry.code or entry.message), None)
    if first is None:
        return f" (HTTP {status})"
    text = " ".join(part for part in (first.code, first.message) if part)
    return f" (HTTP {status}: {one_line(text, 260)})"


def _advice(kind: type[RegistryError], where: Where) -> str:
    if issubclass(kind, Denied):
        hint = denial_hint(where.registry)
        return f"; {hint}" if hint else ""
    if kind is Unauthorized:
        return "; check the credential" if where.origin else "; give a credential for it"
    return ""
