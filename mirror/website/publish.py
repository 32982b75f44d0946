"""Read the history, build the site, put it in place: shared by the flow and the command."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mirror.config import Settings
from mirror.errors import ConfigError
from mirror.history import (
    create_engine,
    data_dir,
    database_url,
    prepare,
    read_openmetrics,
    with_repositories,
)
from mirror.website.extra import require_libraries
from mirror.website.load import read_site_data
from mirror.website.swap import METRICS_FILE, publish_to

FOLDER_ENV = "MIRROR_SITE_DIR"
ADDRESS_ENV = "MIRROR_SITE_URL"
QUOTAS_ENV = "MIRROR_METRICS_QUOTAS"  # 1: /metrics shows the pull quotas that are left


@dataclass(frozen=True, slots=True)
class Published:
    """What was put in place."""

    folder: Path
    mirrors: int
    tags: int
    seconds: float


def site_folder_of_environment() -> Path:
    """The default folder of the site: MIRROR_SITE_DIR, else `site/public` in the data folder."""
    named = os.environ.get(FOLDER_ENV)
    return Path(named) if named else data_dir() / "site" / "public"


def site_address() -> str:
    """MIRROR_SITE_URL, ending in a slash: the public address of the site, base path included.

    Empty when unset: the site then works under any address, without canonical links.
    Raises ConfigError when it is not an http(s) address.
    """
    named = os.environ.get(ADDRESS_ENV, "")
    parts = urlsplit(named)
    if named and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
        raise ConfigError(
            f"{ADDRESS_ENV}: {named!r} is not an address such as https://example.com/mirror/"
        )
    return named and named.rstrip("/") + "/"


def publish_site(settings: Settings, folder: Path, address: str) -> Published:
    """Build the site of the configured mirrors and make it what `folder` shows.

    Blocks for some seconds. Raises PublishError, DatabaseAway.
    """
    require_libraries()
    from mirror.website.build import build_site

    started = time.perf_counter()
    url = database_url()
    prepare(url)
    settings = with_repositories(settings, url)
    engine = create_engine(url, read_only=True)
    try:
        data = read_site_data(engine, settings.mirrors)
        metrics = read_openmetrics(engine, quotas=os.environ.get(QUOTAS_ENV) == "1")
    finally:
        engine.dispose()

    def build(fresh: Path) -> None:
        build_site(data, fresh, address)
        (fresh / METRICS_FILE).write_text(metrics, encoding="utf-8")

    publish_to(folder, build)
    return Published(
        folder=folder,
        mirrors=len(data.mirrors),
        tags=sum(len(mirror.tags) for mirror in data.mirrors),
        seconds=round(time.perf_counter() - started, 2),
    )
