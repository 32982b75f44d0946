"""Screenshots of every page, at desktop and phone width, in both languages, light and dark.

python -m tests.website.shots [FOLDER]     (default: shots/)
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Literal

from mirror.website import build_site
from tests.website import samples
from tests.website.browser import DESKTOP, PHONE, chromium
from tests.website.serving import served

PAGES = (
    "",
    "sources/",
    "switching/",
    "compose-builder/",
    "compose-builder/?profile=full-custom",
    "compose-example/",
    "status/",
    "status/hagicode-aliyun/",
    "tags/",
    "sync/",
    "faq/",
    "data/",
    "changelog/",
    "404.html",
)


def take(folder: Path) -> int:
    """Write `<sample>-<language>-<page>-<width>-<scheme>.png`; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    count = 0
    with tempfile.TemporaryDirectory() as work, chromium() as browser:
        for name in ("busy", "troubled", "empty"):
            site = Path(work) / name
            site.mkdir()
            build_site(getattr(samples, name)(), site)
            with served(site) as address:
                for language, prefix in (("zh", ""), ("en", "en/")):
                    for width, size in (("desktop", DESKTOP), ("phone", PHONE)):
                        for scheme in schemes:
                            if name != "busy" and (scheme == "dark" or language == "en"):
                                continue
                            context = browser.new_context(
                                viewport=size,
                                color_scheme=scheme,
                                locale="zh-CN" if language == "zh" else "en-GB",
                                timezone_id="Asia/Shanghai" if language == "zh" else "Europe/Paris",
                            )
                            # Data of a few minutes ago, or each page says that it is old.
                            context.clock.set_fixed_time(samples.NOW + timedelta(minutes=4))
                            page = context.new_page()
                            for path in PAGES:
                                page.goto(address + prefix + path)
                                slug = path.strip("/").replace("/", "-").replace("?", "") or "home"
                                file = f"{name}-{language}-{slug}-{width}-{scheme}.png"
                                page.screenshot(path=folder / file, full_page=True)
                                count += 1
                            context.close()
    return count


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "shots")
    sys.stdout.write(f"{take(target)} screenshots in {target}\n")
