"""JSON from outside: parsed only where it cannot grow much beyond its bytes."""

from __future__ import annotations

import json
from typing import Any, Final

_MOST_VALUES: Final = 500_000  # a value of two bytes, such as `[]`, takes up to 100 once parsed


def parse_json(raw: bytes, encoding: str | None = None) -> Any:
    """The document in `raw`; raises ValueError where it is no JSON or has too many values.

    encoding: the only one that is read; None for those that RFC 4627 tells apart.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES:,} values, and is not read")
    try:
        return json.loads(raw if encoding is None else raw.decode(encoding))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
