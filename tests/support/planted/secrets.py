"""The secrets that are planted, and every form in which one may be quoted.

Worked out here a second time, without the code that redacts.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

USER: Final = "robot$planted+ci"
# With what changes by each encoding: / @ % + quotes, blanks, and letters beyond ASCII.
SECRETS: Final[Mapping[str, str]] = {
    "environment": "en/v1r@nm%41nt+\"p'w\u00e9",
    "docker": "d0ck3r/c@nf%2Fig+'p\"w",
    "identity": "1dent1ty.t0ken/of+refresh~%7E",
    "helper": "h3lper p@ss/w%20rd+&=\"'",
    "block": "s3cret-bl@ck/of%2BPrefect+'",
    "proxy": "pr0xy@p/ss%w+rd'q",
    "record": "p0stgres/rec@rd%+\"x'",
    "prefect": "p0stgres/pref@ct%+\"y'",
    "dingtalk": "d1ngt@lk/t0ken%+",
    "signing": "SEC/s1gn@ing%+\"'",
    "feishu": "fe1shu-h00k/t@ken%",
    "wecom": "wec0m-k@y/of+robot%",
    "apprise": "appr1se-p@ss-of+service",
    "hook": "h00k/s3cret@of%push+'\"",
    "bearer": "eyJhbGciOiJ.bearer-t0ken_of.this-test",
    "renewal": "refresh-t0ken.handed/out+by=service",
}
_LEAST: Final = 6  # letters of a form


def pairs() -> Iterator[str]:
    """What Basic sends: user and password."""
    for name in ("environment", "docker", "helper", "block", "proxy"):
        yield f"{USER}:{SECRETS[name]}"


def _aligned(raw: bytes, alphabet: str) -> Iterator[str]:
    """What remains of a value in the base64 of a text around it, at each of the three offsets."""
    encode = base64.b64encode if alphabet == "+/" else base64.urlsafe_b64encode
    for offset in range(3):
        whole = encode(b"\0" * offset + raw).decode()
        last = (len(raw) + offset) // 3 * 4
        yield whole[4 if offset else 0 : last]


def _quoted(text: str) -> Iterator[str]:
    yield text
    yield from (quote(text), quote(text, safe=""), quote_plus(text), quote(quote(text, safe="")))
    yield from (html.escape(text), html.escape(text, quote=False))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield json.dumps(json.dumps(text))[3:-3]
    yield from (repr(text)[1:-1], ascii(text)[1:-1], ascii(text.encode())[2:-1])


def forms(secret: str) -> set[str]:
    """Every form of one secret, in lower case."""
    raw = secret.encode()
    found = set(_quoted(secret))
    for alphabet in ("+/", "-_"):
        for part in _aligned(raw, alphabet):
            found |= set(_quoted(part))
        for part in _aligned(base64.b64encode(raw), alphabet):
            found.add(part)
    found |= {raw.hex(), raw.decode("latin-1")}
    return {form.lower() for form in found if len(form) >= _LEAST}


class Search:
    """Finds planted secrets in text."""

    def __init__(self, more: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[str, str] = {}
        values = [*SECRETS.items(), *(("pair", pair) for pair in pairs()), *more]
        for name, value in values:
            for form in forms(value):
                self._names.setdefault(form, name)

    def in_text(self, text: str, where: str) -> list[str]:
        """The secrets in a text, each with its place and what is around it."""
        lower = text.lower()
        return [
            f"{name} in {where}: {lower[max(0, lower.find(form) - 80) :][: len(form) + 120]!r}"
            for form, name in self._names.items()
            if form in lower
        ]
