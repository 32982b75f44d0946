"""Put a finished build in place, so that readers see the old site or the new one, never half.

The public folder is a symbolic link to a build next to it; renaming a new link over the old one is
atomic (rename(2)). The previous build is kept for readers who are in the middle of a page.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from mirror.website.errors import NotOurs

METRICS_FILE = "metrics.txt"
"""In the public folder: what `/metrics` serves."""


def publish_to(public: Path, build: Callable[[Path], None]) -> Path:
    """Let `build` fill a new folder, then point `public` to it; returns the new folder.

    A build that raises leaves `public` as it was. An empty folder at `public` is replaced.
    Raises NotOurs when `public` is a folder with content or a file.
    """
    public = public.parent.resolve() / public.name
    builds = public.parent / f".{public.name}.builds"
    if public.is_dir() and not public.is_symlink() and any(public.iterdir()):
        raise NotOurs(
            f"{public} is a folder with files that `mirror publish` did not make: "
            "name one that is absent or empty"
        )
    if public.exists() and not public.is_dir():
        raise NotOurs(f"{public} is a file: name a folder that is absent or empty")
    builds.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(builds):
        before = public.resolve() if public.is_symlink() else None
        fresh = builds / uuid4().hex
        fresh.mkdir()
        try:
            build(fresh)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if public.is_dir() and not public.is_symlink():
            public.rmdir()
        link = builds / f"{fresh.name}.link"
        link.symlink_to(Path(builds.name) / fresh.name)
        link.replace(public)
        for old in builds.iterdir():
            if old.is_dir() and old not in (fresh, before):
                shutil.rmtree(old)
    return fresh


@contextmanager
def _one_at_a_time(builds: Path) -> Iterator[None]:
    # A kernel lock: released with the process that holds it, however that ends.
    with (builds / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
