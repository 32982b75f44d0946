"""What a registry's error response means, as an error of the tree.

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

from mirror.outside_text import one_line
from mirror.registry.http.known_registries import known_registry
from mirror.registry.http.request import Request, RequestContext, excerpt
from mirror.registry.http.retries import RETRIED_STATUSES
from mirror.registry.spec import (
    BlobUnknown,
    ConnectionFailed,
    Denied,
    ManifestBlobUnknown,
    NotFound,
    PolicyRefusal,
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
)

_NO_ROOM: Final = re.compile(
    r"no space left|dis[ck] quota|insufficient (?:disk |free )?(?:storage|space)|storage quota"
    r"|quota exceeded|quota has been exceeded|exceed(?:s|ed|ing)? (?:the |your |its )?"
    r"(?:configured upper limit|storage|dis[ck]|[a-z]{0,20} ?quota|quota|size limit|space)"
    r"|(?:not enough|insufficient|no (?:more|remaining)|out of|exceeds? (?:the )?available)"
    r" (?:\w+ ){0,2}(?:quota|storage|space)"
    r"|(?:storage|size|dis[ck]|space|capacity|quota)(?: \w+){0,2} (?:limit|quota|capacity)"
    r"(?: \w+){0,6} (?:reached|exceeded|full)|(?:reached|hit|over) (?:the |your |its )?"
    r"(?:\w+ )?(?:storage|dis[ck]|space|size) (?:limit|quota|capacity)"
    r"|(?:dis[ck]|volume|file ?system|storage|device|bucket)(?: is| has become)?"
    r" (?:nearly |almost )?full\b|storage full|write failure: full"
    r"|\bENOSPC\b|\bEDQUOT\b|XMinioStorageFull"
    r"|not have enough (?:\w+ )?(?:space|storage)|\"Err\":\s*28\b",
    re.IGNORECASE,
)
_RESTRICTED: Final = re.compile(
    r"overdue|arrears|unpaid|past[- ]due|outstanding (?:balance|payment)"
    r"|payment (?:required|is due)|billing"
    r"|account(?: \w+){0,4} (?:restricted|suspended|disabled|locked|frozen|blocked"
    r"|deactivated|terminated)|(?:restricted|suspended|disabled|frozen) account"
    r"|subscription (?:has |is )?(?:\w+ )?(?:expired|suspended|lapsed|disabled"
    r"|cancell?ed)|欠费",
    re.IGNORECASE,
)
_POLICY: Final = re.compile(
    r"immutab|cannot be (?:overwritten|updated|modified|replaced)|(?:overwrit|re-?deploy|updat)\w*"
    r"(?: \w+){0,4} (?:is |are )?(?:not|dis)[ -]?(?:allowed|permitted)|not allow(?:ed)? "
    r"(?:to )?(?:updat|overwrit|re-?deploy)\w*|does not allow (?:updating|overwriting|redeploy)"
    r"|already exists|tag (?:is )?(?:locked|protected)|protected tag|write[- ]?(?:locked|protected)"
    r"|(?:operation|write|push) is disallowed|retention|legal hold|precondition|policy"
    r"|read[- ]?only",
    re.IGNORECASE,
)
_PULL_LIMIT: Final = re.compile(r"pull rate limit|unauthenticated pull", re.IGNORECASE)
_REFUSED_CLASS: Final = re.compile(
    r"unknown manifest class|unsupported (?:media|manifest)|media ?type.{0,80}not "
    r"(?:supported|allowed|accepted)|unknown media ?type|invalid media ?type"
    r"|unrecognized manifest|manifest type unsupported",
    re.IGNORECASE,
)

_CONNECTION: Final = (httpx.NetworkError, httpx.ProxyError, httpx.LocalProtocolError)


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """An entry of a registry's error body."""

    code: str
    message: str
    detail: str


def error_entries(body: bytes) -> tuple[ErrorEntry, ...]:
    """The entries of an error body of any form; text that is not JSON is one without a code."""
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        plain = re.sub(r"<[^>]{0,200}>", " ", text)
        return (ErrorEntry("", one_line(plain, 200), ""),) if plain.strip() else ()
    found = document.get("errors") if isinstance(document, dict) else None
    entries = found if isinstance(found, list) else [found if isinstance(found, dict) else document]
    return tuple(_entry(entry) for entry in entries[:10] if entry)


def _entry(entry: object) -> ErrorEntry:
    if not isinstance(entry, dict):
        return ErrorEntry("", one_line(str(entry), 200), "")
    return ErrorEntry(
        code=one_line(_first(entry, ("code", "error", "errorCode")), 120).upper(),
        message=one_line(_first(entry, ("message", "msg", "details", "error_description")), 240),
        detail=one_line(_dumped(entry.get("detail")), 200),
    )


def _first(entry: dict[str, Any], keys: Iterable[str]) -> str:
    return next((str(entry[key]) for key in keys if isinstance(entry.get(key), str | int)), "")


def _dumped(detail: object) -> str:
    try:
        return "" if detail is None else json.dumps(detail)
    except (ValueError, RecursionError):
        return ""


def response_error(
    response: httpx.Response,
    body: bytes,
    context: RequestContext,
    wait: float | None,
    answered_by: str = "",
) -> RegistryError:
    """The error that a 3xx, 4xx or 5xx response amounts to.

    wait: seconds from its Retry-After. answered_by: the host, where it is not the registry.
    The message holds nothing of the request's headers or body.
    """
    status = response.status_code
    entries = error_entries(body)
    codes = {entry.code for entry in entries}
    kind = _kind(status, codes, _words(entries), response)
    told = _explanation(kind, context, status)
    if kind is PolicyRefusal:
        told = f"the registry has restricted the account: it refuses {context.doing}"
    elif kind is ProtocolError and body and status < 400:
        told += f": {excerpt(body)}"
    if answered_by:
        told += f", answered by {one_line(answered_by, 120)}"
    return context.error(
        kind,
        f"{told}{_quoted(status, entries)}{_advice(kind, context)}",
        status=status,
        code=next((entry.code for entry in entries if entry.code), None),
        transient=status in RETRIED_STATUSES
        and kind not in (QuotaExhausted, StorageFull, PolicyRefusal),
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
    if _RESTRICTED.search(words) and status in (400, 401, 402, 403, 412, 423, 451):
        return PolicyRefusal
    if status == 507 or (status not in (404, 429) and _NO_ROOM.search(words)):
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


def refused_by_policy(error: RegistryError) -> PolicyRefusal | None:
    """The error of a manifest PUT read as a refusal by a policy of the registry; None for others.

    An immutable tag: Harbor answers 412, others 409, 405, 403 (Artifactory, Azure) or 400 (ECR,
    Nexus) with other words. A bare 403 is the credential's.
    """
    if isinstance(error, StorageFull | PolicyRefusal | NotFound | RefusedMediaType):
        return None
    words = f"{error.code or ''} {_words(error_entries(error.body))}"
    by_status = error.status in (405, 409, 412, 423)
    if not by_status and not (error.status in (400, 403, 422) and _POLICY.search(words)):
        return None
    told = str(error).replace(
        "the registry refused writing",
        "a policy of the registry (an immutable tag?) refuses writing",
    )
    if told == str(error):
        told += ": a policy of the registry (an immutable tag?) refuses it"
    return PolicyRefusal(
        told,
        registry=error.registry,
        repository=error.repository,
        reference=error.reference,
        status=error.status,
        code=error.code,
    )


def refused_manifest(error: RegistryError, reference: str) -> RegistryError | None:
    """The error of a manifest PUT read as a refusal of the manifest itself; None if it is not one.

    Aliyun's personal edition answers 403 `denied: unknown manifest class for <type>`; others 400
    MANIFEST_INVALID, 415, or 404/400 MANIFEST_BLOB_UNKNOWN for missing parts. distribution 2 and
    what is built on it compute a manifest's sha256 whatever algorithm it is pushed by, and answer
    that the content does not match.
    """
    entries = error_entries(error.body)
    codes = {entry.code for entry in entries}
    algorithm, by_digest, _ = reference.partition(":")
    if codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}:
        return _reread(error, ManifestBlobUnknown, str(error))
    if (
        error.status == 415
        or _REFUSED_CLASS.search(_words(entries))
        or (error.status in (400, 422) and codes & {"MANIFEST_INVALID", "UNSUPPORTED"})
    ):
        return _reread(error, RefusedMediaType, str(error))
    if by_digest and algorithm != "sha256" and error.code == "DIGEST_INVALID":
        context = RequestContext(error.registry or "", "", error.repository, reference)
        message = f"the registry does not take manifests by {algorithm}"
        return _reread(
            error, RefusedMediaType, f"{context}: {message} (HTTP {error.status}: {error.code})"
        )
    return None


def _reread(error: RegistryError, kind: type[RegistryError], message: str) -> RegistryError:
    return kind(
        message,
        registry=error.registry,
        repository=error.repository,
        reference=error.reference,
        status=error.status,
        code=error.code,
    )


def _words(entries: Iterable[ErrorEntry]) -> str:
    return " ".join(f"{entry.message} {entry.detail}" for entry in entries)


def _explanation(kind: type[RegistryError], context: RequestContext, status: int) -> str:
    who = f"the credential from {context.origin}" if context.origin else "an anonymous user"
    doing = context.doing
    known: dict[type[RegistryError], str] = {
        Unauthorized: f"the registry does not accept {who} for {doing}",
        Denied: f"the registry denies {who} {doing}",
        NotFound: "not found",
        BlobUnknown: "the registry has no such blob",
        ManifestBlobUnknown: "the registry lacks a blob or child of the manifest",
        UploadUnknown: "the registry has lost the upload session",
        QuotaExhausted: f"the pull quota of {who} is used up",
        Throttled: f"too many requests while {doing}",
        StorageFull: f"the registry has no space left for {doing}",
        TimedOut: f"the registry timed out while {doing}",
        ProtocolError: f"unexpected response while {doing}",
    }
    failed = "failed" if status >= 500 else "refused"
    return known.get(kind, f"the registry {failed} {doing}")


def _quoted(status: int, entries: tuple[ErrorEntry, ...]) -> str:
    first = next((entry for entry in entries if entry.code or entry.message), None)
    if first is None:
        return f" (HTTP {status})"
    text = " ".join(part for part in (first.code, first.message) if part)
    return f" (HTTP {status}: {one_line(text, 260)})"


def _advice(kind: type[RegistryError], context: RequestContext) -> str:
    if issubclass(kind, Denied):
        hint = known_registry(context.registry).denial
        return f"; {hint}" if hint else ""
    if kind is Unauthorized:
        return "; check the credential" if context.origin else "; give a credential for it"
    return ""


def transport_error(error: Exception, request: Request) -> RegistryError:
    """The error of the tree for a request that got no valid response."""
    kind: type[RegistryError] = ConnectionFailed
    what = "the connection failed"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        kind, what = TimedOut, "timed out"
    elif request.authorize and not isinstance(error, _CONNECTION):
        kind, what = ProtocolError, "malformed response"
    detail = f" ({error})" if str(error) else ""
    return request.context.error(
        kind,
        f"{what} while {request.context.doing}{detail}",
        transient="CERTIFICATE_VERIFY_FAILED" not in str(error),
    )
