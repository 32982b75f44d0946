"""What an audit can find to differ at a target, and what a sync has to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mirror.outcome import ChangeKind


class FindingKind(StrEnum):
    """What an audit found to differ at a target."""

    BEHIND = "behind"  # the source has moved on since the last sync; the target is as it was left
    MISSING_TAG = "missing_tag"
    WRONG_DIGEST = "wrong_digest"  # drift: the tag points at something that no sync put there
    MISSING_MANIFEST = "missing_manifest"
    MISSING_BLOB = "missing_blob"
    WRONG_SIZE = "wrong_size"
    WRONG_CONTENT = "wrong_content"  # the bytes do not hash to their digest
    EXTRA_TAG = "extra_tag"  # neither the source nor the record has such a tag
    UNREADABLE = "unreadable"  # one of the two sides would not tell

    @property
    def repair(self) -> ChangeKind | None:
        """As what a sync has to repair it; None: it needs no repair, or none can be made."""
        return _REPAIRS.get(self)


_REPAIRS = {
    FindingKind.MISSING_TAG: ChangeKind.MISSING,
    FindingKind.MISSING_MANIFEST: ChangeKind.MISSING,
    FindingKind.MISSING_BLOB: ChangeKind.MISSING,
    FindingKind.WRONG_DIGEST: ChangeKind.DRIFTED,
    FindingKind.WRONG_SIZE: ChangeKind.DRIFTED,
    # Not WRONG_CONTENT: a registry that has a blob of that digest and size takes no other in its
    # place, so its operator has to remove it first; it is then missing.
}


@dataclass(frozen=True)
class AuditFinding:
    """Something that an audit found to differ."""

    tag: str  # at the source
    kind: FindingKind
    message: str  # one line: what, where
    digest: str | None = None  # of what is missing or wrong
