"""Hooks of MkDocs: the fragments that the record gave go into the pages they belong to."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_PLACE = re.compile(r'<div data-live="(\d+)"></div>')


def on_page_content(html: str, **_: Any) -> str:
    """Put each fragment where its page left a place for it.

    A block of code scrolls sideways, so it has to be within reach of the keyboard.
    """
    html = html.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
    fragments = Path(os.environ["MIRROR_SITE_FRAGMENTS"])
    return _PLACE.sub(
        lambda place: (fragments / f"{place[1]}.html").read_text(encoding="utf-8"), html
    )
