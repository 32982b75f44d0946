"""Mirrors of mirrors.yaml as the record keeps them."""

from __future__ import annotations

from mirror.config import MirrorSettings
from mirror.history import MirrorRow


def mirror_row(mirror: MirrorSettings) -> MirrorRow:
    """The mirror as the record keeps it."""
    return MirrorRow(
        name=mirror.name,
        source=mirror.source,
        target=mirror.target,
        every=mirror.every,
        watch_every=mirror.watch_every,
        delay_goal=mirror.delay_goal,
        policy=mirror.model_dump_json(include={"tags", "platforms", "attestations", "referrers"}),
    )
