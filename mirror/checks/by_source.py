"""Mirrors that share a source are looked at together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mirror.config import MirrorSettings


def by_source(mirrors: Iterable[MirrorSettings]) -> list[tuple[MirrorSettings, ...]]:
    """The mirrors grouped by source repository, each once, in their order."""
    sources: dict[str, list[MirrorSettings]] = defaultdict(list)
    for mirror in {mirror.name: mirror for mirror in mirrors}.values():
        sources[mirror.source].append(mirror)
    return [tuple(group) for group in sources.values()]
