"""Lighthouse over the pages at both widths, by hand; fails when a category is below 95.

npm install --prefix /tmp/lighthouse lighthouse
PATH="/tmp/lighthouse/node_modules/.bin:$PATH" python -m tests.website.lighthouse [PAGE...]

Run it on a quiet machine: the performance category measures time.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from flows.local import choose_port, serve_site
from mirror.website import build_site
from tests.website import samples

LEAST = 95
FORMS = {"desktop": ["--preset=desktop"], "phone": []}
FLAGS = "--headless --no-sandbox --disable-gpu"


async def scores(address: str, form: str) -> dict[str, int]:
    """Each category's score of a page, 0 to 100. Raises RuntimeError with what went wrong."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "report.json"
        process = await asyncio.create_subprocess_exec(
            "lighthouse",
            address,
            "--quiet",
            "--output=json",
            f"--output-path={file}",
            f"--chrome-flags={FLAGS}",
            *FORMS[form],
            env={"CHROME_PATH": shutil.which("chromium") or "", **os.environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"lighthouse failed on {address}: {said.decode()[-500:]}")
        report = json.loads(file.read_text(encoding="utf-8"))
    return {name: round(100 * part["score"]) for name, part in report["categories"].items()}


async def check(pages: tuple[str, ...]) -> bool:
    """Print the scores of each page; whether all are high enough."""
    is_well = True
    with tempfile.TemporaryDirectory() as work:
        port = choose_port("127.0.0.1", 0, "the site", "--port")
        build_site(samples.busy(), Path(work), f"http://127.0.0.1:{port}/")
        async with serve_site(Path(work), "127.0.0.1", port):
            for page in pages:
                for form in FORMS:
                    found = await scores(f"http://127.0.0.1:{port}/{page}", form)
                    is_well = is_well and min(found.values()) >= LEAST
                    line = ", ".join(f"{name} {score}" for name, score in found.items())
                    sys.stdout.write(f"/{page} {form}: {line}\n")
                    sys.stdout.flush()
    return is_well


if __name__ == "__main__":
    from tests.website.shots import PAGES

    if shutil.which("lighthouse") is None:
        sys.exit(f"no `lighthouse` on PATH\n\n{__doc__}")
    # The 404 page is kept from search engines on purpose, which costs points.
    asked = tuple(sys.argv[1:]) or tuple(page for page in PAGES if page != "404.html")
    sys.exit(0 if asyncio.run(check(asked)) else 1)
