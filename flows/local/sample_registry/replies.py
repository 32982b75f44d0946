"""What the demo registry says: answers, and refusals with the specification's error codes.

RefusalError is the one error of the package's request path; the server turns it into the JSON of
distribution-spec v1.1, "Error Codes".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.local.fake_registry.store import Blob

JSON = "application/json"


@dataclass(frozen=True)
class Slice:
    """Bytes start (inclusive) to end (exclusive) of a blob."""

    blob: Blob
    start: int
    end: int


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one answer. `length` is Content-Length where a HEAD hides it."""

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

    def answer(self) -> Answer:
        """The refusal as the specification's JSON body."""
        error = {"code": self.code, "message": self.message, "detail": self.detail}
        return json_answer({"errors": [error]}, status=self.status, headers=self.headers)


def json_answer(
    document: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> Answer:
    """An answer whose body is a JSON document."""
    body = json.dumps(document).encode()
    return Answer(status, {"Content-Type": content_type, **(headers or {})}, body)
