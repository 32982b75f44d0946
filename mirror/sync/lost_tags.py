"""Known tags that a look at the source did not find: which of them are gone, and which looks lie.

A source that is misread is not an empty source. What it lists is compared with what it listed
before: a look that loses more than `delete_share` of the known tags, or all of them, is suspicious,
and nothing is marked as gone on its word. The share counts over the grace period, so that many
small losses are one large one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror.outcome import KnownTag
from mirror.sync.tag_rules import TagRules

GRACE = timedelta(days=1)
"""Between the two looks, at least, that must miss a tag before it is deleted at a target."""


@dataclass(frozen=True)
class LostTags:
    """What a complete list of the source lacks."""

    names: tuple[str, ...]
    """Known tags that it lacks now and did not lack before."""
    before: int
    """Tags lost earlier in the grace period."""
    known: int
    """Tags known at the beginning of the grace period, or since."""
    share: float

    @property
    def suspicious(self) -> bool:
        """True if more is lost than a source is believed to lose."""
        lost = len(self.names) + self.before
        return bool(self.names) and (lost > self.share * self.known or lost == self.known)

    def describe(self, repository: str, mirror: str) -> str:
        """One line that says what was lost and how a person accepts it."""
        also = f", {self.before} more within the grace period" if self.before else ""
        return (
            f"{repository} no longer lists {len(self.names)} of {self.known} known tags{also}"
            f" ({_named(self.names)}): suspicious, so nothing was marked as gone or deleted;"
            f" if they were deleted on purpose, run: mirror sync {mirror} --full --accept-loss"
        )


def find_lost_tags(
    listed: Collection[str], known: Mapping[str, KnownTag], rules: TagRules, now: datetime
) -> LostTags:
    """The known tags that a complete list lacks, and what it takes to judge the list."""
    since = now - max(rules.delete_after or GRACE, GRACE)
    recent = {
        name: tag for name, tag in known.items() if tag.gone_at is None or tag.gone_at > since
    }
    missing = {name: tag for name, tag in recent.items() if name not in listed}
    lost = sorted(name for name, tag in missing.items() if tag.gone_at is None)
    before = len(missing) - len(lost)
    return LostTags(tuple(lost), before, len(recent), rules.delete_share)


def _named(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
