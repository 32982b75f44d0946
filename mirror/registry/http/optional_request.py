"""Optional requests: each saves something where it works, and has a plain way behind it.

Any failure of one means "not that way": the plain way is taken, and what refused is remembered with
its reason, its time and how long it holds. The one exception is what the plain way would meet too:
a limit, a full store, a policy of the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from mirror.registry.spec import (
    BudgetExceeded,
    ConnectionFailed,
    MisdirectedUpload,
    PolicyRefusal,
    QuotaExhausted,
    RegistryError,
    ServerError,
    StorageFull,
    Throttled,
    TimedOut,
    UntrustedRealm,
)

ATTEMPTS: Final = 3  # of an optional request before the plain way is taken
ANSWER_SECONDS: Final = 15.0  # for an optional request without a blob body
REFUSAL_HOLDS: Final = timedelta(days=30)  # registries gain features
DOUBT_HOLDS: Final = timedelta(days=1)  # of a login refused, and of what is no registry's response
FAILURE_HOLDS: Final = timedelta(hours=1)  # of a 5xx, a timeout, a limit or a broken connection
_UNSUPPORTED: Final = frozenset({400, 404, 405, 406, 410, 411, 413, 415, 416, 501})


class OptionalRequest(StrEnum):
    """What a registry need not support, by the name of its capability; the plain way behind it."""

    MOUNT = "mount"  # upload the blob
    SINGLE_POST = "single_post"  # open an upload session
    WHOLE_PUT = "whole_put"  # PATCH, then an empty PUT
    HEAD_BLOB = "head_blob"  # GET one byte
    HEAD_MANIFEST = "head_manifest"  # GET
    REFERRERS = "referrers"  # the fallback tag
    HUB_API = "hub_api"  # the registry's own tag list
    PAGE_SIZE = "page_size"  # a smaller page, then the registry's own size
    RANGES = "ranges"  # one stream from the start


PLAIN_WAYS: Final[Mapping[OptionalRequest, str]] = {
    OptionalRequest.MOUNT: "blobs are uploaded",
    OptionalRequest.SINGLE_POST: "blobs go through an upload session",
    OptionalRequest.WHOLE_PUT: "blobs go by PATCH",
    OptionalRequest.HEAD_BLOB: "one byte of a blob is read instead",
    OptionalRequest.HEAD_MANIFEST: "manifests are read by GET",
    OptionalRequest.REFERRERS: "only the fallback tags are used",
    OptionalRequest.HUB_API: "the registry's own tag list is used",
    OptionalRequest.PAGE_SIZE: "tags are listed in smaller pages",
    OptionalRequest.RANGES: "blobs are read in one stream",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An optional request that failed at a registry: why, when (UTC), and until when that holds."""

    reason: str
    at: datetime
    until: datetime

    @classmethod
    def of(cls, request: OptionalRequest, error: RegistryError, now: datetime) -> Refusal:
        """What a failed optional request amounts to."""
        if error.status in _UNSUPPORTED:
            holds = REFUSAL_HOLDS
        elif isinstance(error, ConnectionFailed | TimedOut | Throttled | QuotaExhausted) or (
            isinstance(error, ServerError) and (error.status or 0) >= 500
        ):
            holds = FAILURE_HOLDS
        else:
            holds = DOUBT_HOLDS
        if request is OptionalRequest.HUB_API:  # behind a CDN that blocks addresses for a while
            holds = FAILURE_HOLDS
        return cls(str(error), now, now + holds)

    def dump(self) -> dict[str, str]:
        """In a form that can be stored as JSON; `load` reads it."""
        return {
            "reason": self.reason,
            "at": self.at.isoformat(),
            "until": self.until.isoformat(),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Refusal:
        """What `dump` gave."""
        return cls(
            str(stored["reason"]),
            datetime.fromisoformat(stored["at"]),
            datetime.fromisoformat(stored["until"]),
        )


def means_another_way(request: OptionalRequest, error: RegistryError) -> bool:
    """Whether the plain way may succeed where the optional request failed with this error."""
    if isinstance(error, Throttled | QuotaExhausted):
        return request is OptionalRequest.HUB_API  # another host, with separate limits
    return not isinstance(
        error, StorageFull | PolicyRefusal | MisdirectedUpload | UntrustedRealm | BudgetExceeded
    )
