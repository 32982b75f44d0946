"""How long it takes to read and build the public site of a large history."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from bench.stopwatch import Stopwatch, Timing
from mirror.config import Settings, load_settings
from mirror.history.openmetrics import read_openmetrics
from mirror.website.build import build_site
from mirror.website.load import read_site_data

TAGS = 2_000


def settings_of(mirrors: int) -> Settings:
    """The configuration of the first `mirrors` mirrors of the filled history."""
    lines = [
        f"  mirror-{number:02}: {{source: docker.io/bench/source-{number},"
        f" target: registry.example.com/bench/target-{number}}}\n"
        for number in range(1, mirrors + 1)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("mirrors:\n" + "".join(lines))
        file.flush()
        return load_settings(Path(file.name))


def time_site(engine: sa.Engine, timed: Stopwatch) -> Iterator[Timing]:
    """What `publish` does for one mirror: its newest 2,000 tags, then all of them."""
    mirrors = settings_of(1).mirrors
    (mirror,) = read_site_data(engine, mirrors).mirrors
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder:

        def publish(count: int) -> int:
            data = read_site_data(engine, mirrors)
            (whole,) = data.mirrors
            shown = replace(data, mirrors=(replace(whole, tags=whole.tags[:count]),))
            read_openmetrics(engine)
            with tempfile.TemporaryDirectory(dir=folder) as site:
                build_site(shown, Path(site, "public"))
                return sum(1 for _ in Path(site).rglob("*.html"))

        for count in sorted({min(TAGS, len(mirror.tags)), len(mirror.tags)}):
            yield timed(f"publish, {count:,} tags (pages)", partial(publish, count))
    yield timed("of it: read the history", lambda: len(read_site_data(engine, mirrors).mirrors))
