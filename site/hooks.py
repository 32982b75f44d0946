"""MkDocs hooks: put the fragments made from the history into their pages."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_PLACE = re.compile(r'<div data-live="(\d+)"></div>')


def on_post_template(output: str, template_name: str, config: Any, **_: Any) -> str | None:
    """Keep the 404 page of the first language, which has both, and no sitemap without addresses."""
    is_second = template_name == "404.html" and config["theme"]["language"] != "zh"
    is_useless = template_name.startswith("sitemap") and not config["site_url"]
    return "" if is_second or is_useless else output


def on_page_content(html: str, **_: Any) -> str:
    """Replace each placeholder of a page by its fragment.

    A block of code scrolls sideways, so it must be reachable with the keyboard.
    """
    html = html.replace("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
    fragments = Path(os.environ["MIRROR_SITE_FRAGMENTS"])
    return _PLACE.sub(
        lambda place: (fragments / f"{place[1]}.html").read_text(encoding="utf-8"), html
    )
