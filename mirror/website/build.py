"""Build the whole site into a folder: pages, MkDocs, and the documents that programs read."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import yaml

from mirror.environment import basic_environment
from mirror.website import documents, monitor_api
from mirror.website.badge import badge
from mirror.website.errors import BuildFailed
from mirror.website.feed import incident_feed
from mirror.website.health import health_of
from mirror.website.pages import Site, write_pages
from mirror.website.site_data import SiteData
from mirror.website.sources import LANGUAGES, links, site_folder, sources
from mirror.website.styles import prune_styles
from mirror.website.words import Words

COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".csv"}
SCHEMAS = {
    "status.schema.json": "",
    "mirrors-yaml.schema.json": "",
    "mirror.schema.json": "api/",
    "summary.schema.json": "api/",
}
"""The published JSON Schemas, and the folder that each is in."""
_SECONDS = 300  # a build takes a few; one that hangs is killed


def build_site(data: SiteData, folder: Path, site_url: str = "") -> None:
    """Fill the empty `folder` with the site; takes some seconds, most of them in another process.

    `site_url` is the public address with the base path, such as `https://example.com/mirror/`;
    without it pages have no canonical address. The site works under any path, since every link is
    relative. Each text file has a gzip-compressed sibling for servers that can send it.

    Raises BuildFailed when MkDocs refuses a page (a dead link counts).
    """
    site = Site.of(data)
    with tempfile.TemporaryDirectory(prefix="mirror-site-") as name:
        work = Path(name)
        (work / "fragments").mkdir()
        write_pages(site, work / "docs", work / "fragments")
        _copy_assets(work / "docs")
        _mkdocs(work, folder, site_url, data.read_at)
    _drop_unused(folder)
    prune_styles(folder)
    _write_documents(site, folder, site_url)
    _compress(folder)


def _copy_assets(docs: Path) -> None:
    # Under the first language they land at the root of the site, once for both.
    shutil.copytree(site_folder() / "assets", docs / LANGUAGES[0] / "assets")


def _mkdocs(work: Path, folder: Path, site_url: str, read_at: datetime) -> None:
    own = site_folder()
    settings = {
        "INHERIT": str(own / "mkdocs.yml"),
        "docs_dir": str(work / "docs"),
        "site_dir": str(folder),
        "site_url": site_url,
        "theme": {"custom_dir": str(own / "theme")},
        "hooks": [str(own / "hooks.py")],
        "extra": {
            "links": [link.model_dump() for link in links()],
            "registries": [source.registry for source in sources()],
            "built": f"{read_at:%Y-%m-%d %H:%M} UTC",
            "built_iso": read_at.isoformat(timespec="seconds"),
        },
    }
    (work / "mkdocs.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    environment = {
        **basic_environment(),
        "MIRROR_SITE_FRAGMENTS": str(work / "fragments"),
        "PYTHONWARNINGS": "ignore",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict"],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"MkDocs did not finish within {_SECONDS} s: try again") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        complaints = [line for line in lines if line.startswith(("WARNING", "ERROR"))]
        reason = (complaints or lines[-1:] or [f"exit code {done.returncode}"])[0]
        raise BuildFailed(f"MkDocs refused the pages of {own}: {reason}")


def _drop_unused(folder: Path) -> None:
    # Material also copies its script bundle, search and source maps; no page refers to them.
    shutil.rmtree(folder / "assets" / "javascripts")
    shutil.rmtree(folder / "assets" / "images")
    for file in (folder / "assets" / "stylesheets").iterdir():
        if not file.name.startswith("main.") or file.suffix == ".map":
            file.unlink()


def _write_documents(site: Site, folder: Path, site_url: str) -> None:
    data = site.data
    texts = {"status.json": documents.status_json(data, site.states)}
    for name, place in SCHEMAS.items():
        texts[f"{place}{name}"] = (site_folder() / "schema" / name).read_text(encoding="utf-8")
    texts["api/summary.json"] = monitor_api.summary(data)
    for language in LANGUAGES:
        prefix = "" if language == LANGUAGES[0] else f"{language}/"
        texts[f"{prefix}feed.xml"] = incident_feed(data, Words(language), site_url)
    for mirror in data.mirrors:
        texts[f"api/mirrors/{mirror.name}.json"] = monitor_api.mirror_status(mirror, data, site_url)
    for mirror in data.whole:
        state = health_of(mirror, data)
        texts[f"badges/{mirror.name}.svg"] = badge(mirror, state, Words("zh"))
        texts[f"en/badges/{mirror.name}.svg"] = badge(mirror, state, Words("en"))
        texts[f"digests/{mirror.name}.csv"] = documents.digest_map(mirror)
    for image in site.images:
        texts[f"tags/{image.slug or 'index'}.json"] = documents.tag_index(image)
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _compress(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.suffix in COMPRESSED and file.is_file():
            packed = gzip.compress(file.read_bytes(), compresslevel=6, mtime=0)
            file.with_name(f"{file.name}.gz").write_bytes(packed)
