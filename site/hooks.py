"""MkDocs hooks: put the fragments made from the history into their pages."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_PLACE = re.compile(r'<div data-live="(\d+)"></div>')


def on_page_content(html: str, **_: Any) -> str:
    """Replace each placeholder of a page by its fragment.

    A block of code scrolls sideways, so it must be reachable with the keyboard.
    """
    html = html.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
    fragments = Path(os.environ["MIRROR_SITE_FRAGMENTS"])
    return _PLACE.sub(
        lambda place: (fragments / f"{place[1]}.html").read_text(encoding="utf-8"), html
    )
