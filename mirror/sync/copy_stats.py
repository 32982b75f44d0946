"""What the copy of one tag has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror.outcome import BlobTally, Dropped, PlacedBlob
from mirror.sync.blob_placement import Placement


@dataclass
class CopyStats:
    """What the copy of one tag did so far; kept through a failure, so that nothing is lost."""

    tally: dict[Placement, int] = field(default_factory=lambda: dict.fromkeys(Placement, 0))
    bytes_copied: int = 0
    placed: list[PlacedBlob] = field(default_factory=list)
    dropped: dict[str, Dropped] = field(default_factory=dict)
    referrers: int = 0

    def add(self, other: CopyStats) -> None:
        """Take over what a part of the work did."""
        for placement, count in other.tally.items():
            self.tally[placement] += count
        self.bytes_copied += other.bytes_copied
        self.placed += other.placed
        self.dropped.update(other.dropped)
        self.referrers += other.referrers

    @property
    def blobs(self) -> BlobTally:
        """How the blobs came to be at the target."""
        return BlobTally(
            copied=self.tally[Placement.COPIED],
            mounted=self.tally[Placement.MOUNTED],
            reused=self.tally[Placement.REUSED],
        )
