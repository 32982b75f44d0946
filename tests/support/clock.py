"""A clock that the test sets, for whole syncs: our modules read it instead of `utcnow`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from mirror import outcome


@contextmanager
def clock_set_to(now: Callable[[], datetime]) -> Iterator[None]:
    """Replace `utcnow` in every module of flows and mirror, also those imported meanwhile."""
    real = outcome.utcnow
    _replace(real, now)
    try:
        yield
    finally:
        _replace(now, real)


def _replace(old: Callable[[], datetime], new: Callable[[], datetime]) -> None:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("flows", "mirror") and vars(module).get("utcnow") is old:
            module.utcnow = new  # type: ignore[attr-defined]  # it has one
