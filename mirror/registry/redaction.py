"""Secrets that this process sends, taken out of whatever a registry or gateway sends back.

An error message, or a gateway in debug mode, may quote the request's Authorization header. Such
text would reach logs, Prefect's database and the history.
"""

from __future__ import annotations

import base64
import json
from typing import Final
from urllib.parse import quote, quote_plus

MARK: Final = "[redacted]"
_SHORTEST: Final = 4  # shorter ones occur in any text
_MOST: Final = 4096  # forms that are kept: tokens are replaced every few minutes
_forms: dict[str, None] = {}  # in the order in which they were added


def keep_secret(*secrets: str) -> None:
    """Redact these values from now on, in every form in which they may be quoted."""
    for secret in secrets:
        for form in _forms_of(secret):
            if len(form) >= _SHORTEST:
                _forms.pop(form, None)
                _forms[form] = None
    while len(_forms) > _MOST:
        del _forms[next(iter(_forms))]


def redacted(text: str) -> str:
    """`text` without any secret that was kept, the longest first."""
    for form in sorted((form for form in _forms if form in text), key=len, reverse=True):
        text = text.replace(form, MARK)
    return text


def _forms_of(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    plain = {secret, encoded, encoded.rstrip("=")}
    return plain | {
        form
        for one in plain
        for form in (quote(one, safe=""), quote(one), quote_plus(one), json.dumps(one)[1:-1])
    }
