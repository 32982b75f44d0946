"""The differences that an audit can find at a target, and how a sync repairs them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mirror.outcome import ChangeKind


class FindingKind(StrEnum):
    """How a target differs."""

    BEHIND = "behind"  # the source has moved on since the last sync; the target is as it was left
    MISSING_TAG = "missing_tag"
    WRONG_DIGEST = "wrong_digest"  # drift: the tag points at something that no sync copied
    MISSING_MANIFEST = "missing_manifest"
    MISSING_BLOB = "missing_blob"
    WRONG_SIZE = "wrong_size"
    WRONG_CONTENT = "wrong_content"  # the bytes do not hash to their digest
    UNSIGNED = "unsigned"  # what `verify` would not copy today was copied earlier
    EXTRA_TAG = "extra_tag"  # neither the source nor the history has such a tag
    UNREADABLE = "unreadable"  # a side could not be read

    @property
    def repair(self) -> ChangeKind | None:
        """The change by which a sync repairs it; None: no repair is needed, or none is possible."""
        return _REPAIRS.get(self)


_REPAIRS = {
    FindingKind.MISSING_TAG: ChangeKind.MISSING,
    FindingKind.MISSING_MANIFEST: ChangeKind.MISSING,
    FindingKind.MISSING_BLOB: ChangeKind.MISSING,
    FindingKind.WRONG_DIGEST: ChangeKind.DRIFTED,
    FindingKind.WRONG_SIZE: ChangeKind.DRIFTED,
    # Not WRONG_CONTENT: a registry that has a blob of that digest and size accepts no replacement,
    # so its operator must remove it first; it is then missing.
}


@dataclass(frozen=True)
class AuditFinding:
    """A difference that an audit found."""

    tag: str  # at the source
    kind: FindingKind
    message: str  # one line: what, where
    digest: str | None = None  # of what is missing or wrong
