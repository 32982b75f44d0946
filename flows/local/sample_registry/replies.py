"""Replies of the sample registry, and refusals with the specification's error codes.

RefusalError is the only error of the request path; the server turns it into the JSON of
distribution-spec v1.1, "Error Codes".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.local.sample_registry.store import StoredBlob

JSON = "application/json"


@dataclass(frozen=True)
class Slice:
    """Bytes start (inclusive) to end (exclusive) of a blob."""

    blob: StoredBlob
    start: int
    end: int


@dataclass(frozen=True)
class Reply:
    """Status, headers and body of one reply."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Slice = b""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        if isinstance(self.body, Slice):
            return self.body.end - self.body.start
        return len(self.body)


class RefusalError(Exception):
    """The registry refuses: an HTTP status, an error code and a message."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        detail: object = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.detail = detail

    def reply(self) -> Reply:
        """The refusal as the specification's JSON body."""
        error = {"code": self.code, "message": self.message, "detail": self.detail}
        return json_reply({"errors": [error]}, status=self.status, headers=self.headers)


def json_reply(
    document: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> Reply:
    """A reply whose body is a JSON document."""
    body = json.dumps(document).encode()
    return Reply(status, {"Content-Type": content_type, **(headers or {})}, body)
