"""Tags that wait for a registry to come back, and letting them be tried at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mirror.history.recording.recorder_session import RecorderSession
from mirror.outcome import Reason

# One that throttles is back once it answers something else than 429.
_AWAY = [reason.value for reason in Reason if reason.is_away or reason is Reason.THROTTLED]
_WAITING = """
    SELECT mirror.name, tag, attempts FROM tag_state JOIN mirror ON mirror.id = mirror_id
    WHERE attempts > 0 AND next_attempt_at > %(now)s AND gone_at IS NULL
      AND reason = ANY(CAST(%(away)s AS text[]))
    ORDER BY next_attempt_at DESC
"""
_DUE = """
    UPDATE tag_state SET next_attempt_at = %(now)s
    WHERE mirror_id = %(mirror)s AND tag = ANY(CAST(%(tags)s AS text[]))
      AND next_attempt_at > %(now)s AND reason = ANY(CAST(%(away)s AS text[]))
"""


@dataclass(frozen=True)
class WaitingTag:
    """A tag whose last try failed since a registry was away. `attempts`: tries that failed."""

    mirror: str
    tag: str
    attempts: int


class WaitingTagRecorder(RecorderSession):
    """The recorder's part for tags that wait for a registry."""

    __slots__ = ()

    async def waiting_tags(self, now: datetime) -> Sequence[WaitingTag]:
        """Tags whose last try failed since a registry was away, and that are not due yet."""
        rows = await self.rows(_WAITING, {"now": now, "away": _AWAY})
        return [WaitingTag(*row) for row in rows]

    async def due_at_once(self, mirror: str, tags: Sequence[str], now: datetime) -> None:
        """Let the next run try tags that wait. Their tries that failed still count."""
        values = {"mirror": (await self.mirror(mirror)).id, "tags": list(tags)}
        await self.run(_DUE, {**values, "now": now, "away": _AWAY})
