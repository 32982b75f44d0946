"""Values that cross from the steps to the history.

Every value is frozen. Times are aware datetimes in UTC, sizes are bytes, durations are seconds.
The steps make them, the flow passes them on, the history stores them; that is all the three know
of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mirror.outside_text import one_line

_MESSAGE = 1000  # characters


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class Reason(StrEnum):
    """Why a tag, a run or a probe failed: a closed list, so that failures can be counted."""

    AUTH = "auth"
    NOT_FOUND = "not_found"
    QUOTA = "quota"
    THROTTLED = "throttled"
    REFUSED_MEDIA_TYPE = "refused_media_type"
    DIGEST_MISMATCH = "digest_mismatch"
    NETWORK = "network"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    STORAGE = "storage"
    REFUSED = "refused"  # by a policy (an immutable tag, a restricted account), or any other 4xx
    UNSIGNED = "unsigned"  # no valid signature by the key that mirrors.yaml wants
    SUSPICIOUS = "suspicious"  # the source lost more tags than delete_share allows
    LOCK = "lock"
    ABANDONED = "abandoned"
    INTERNAL = "internal"

    @property
    def is_away(self) -> bool:
        """Whether a registry did not answer, or its server failed: it may be back in a moment."""
        return self in (Reason.NETWORK, Reason.TIMEOUT, Reason.SERVER_ERROR)


class RunStatus(StrEnum):
    """State of a sync run in the history."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Trigger(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    WATCH = "watch"
    MANUAL = "manual"


class ChangeKind(StrEnum):
    """How source and target of a tag differ."""

    NEW = "new"  # the history has never had it
    MOVED = "moved"  # the source points to another digest than when it was last copied
    MISSING = "missing"  # recorded as copied, yet absent from the target
    DRIFTED = "drifted"  # the target points to something that we did not put there
    GONE = "gone"  # the source no longer lists it
    REFERRERS = "referrers"  # it did not move, yet has a signature or SBOM that the target lacks


class TagStatus(StrEnum):
    """State of one tag record (tag_sync). Only succeeded and failed count in success rates."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WAITING = "waiting"  # its exact release failed, so the floating tag was left where it was
    HELD = "held"  # an immutable tag moved at the source: not overwritten, an alert instead
    DELETED = "deleted"  # gone at the source and deleted at the target by policy
    ABANDONED = "abandoned"  # the run was killed while it was being copied


class DropReason(StrEnum):
    """Why a part of an image was left out at the target."""

    PLATFORM = "platform"  # not among the configured platforms
    ATTESTATION = "attestation"  # attestations: drop
    ATTESTATION_REFUSED = "attestation_refused"  # to be kept, but refused by the target
    NON_DISTRIBUTABLE = "non_distributable"  # a foreign layer: referenced, never uploaded
    REFERRER_REFUSED = "referrer_refused"  # a signature or SBOM that the target would not take


@dataclass(frozen=True, slots=True)
class Dropped:
    """A descriptor that the image has at the source and not at the target."""

    digest: str
    media_type: str
    reason: DropReason
    platform: str | None = None  # os/architecture[/variant]


@dataclass(frozen=True, slots=True)
class SourceTag:
    """A tag as the source shows it."""

    name: str
    digest: str  # of the manifest or index, confirmed by the registry
    pushed_at: datetime | None = None  # Hub's tag_last_pushed; None where no API reports it
    size: int | None = None  # bytes of the largest platform, where an API reports it
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """A pull quota as reported by a registry's headers (Docker Hub: ratelimit-*)."""

    registry: str
    account: str | None  # None: anonymous
    limit: int
    remaining: int
    window_seconds: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one look at the source, and for a full sync at the target, found."""

    tags: tuple[SourceTag, ...]  # those that were looked at, policy applied
    complete: bool  # every tag was listed: what is not among them is gone
    via: str  # hub_api | tags_list
    target: Mapping[str, str | None] | None = None  # full: digest by target tag, None if absent
    listed: frozenset[str] = frozenset()  # names seen at the source, before include/exclude
    companions: frozenset[str] = frozenset()  # sha256-… names that travel with their image
    failed: tuple[TagFailure, ...] = ()  # tags whose digest could not be read
    suspicion: str | None = None  # why the list is not believed: nothing is marked as gone
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagFailure:
    """A tag that failed, or with no tag the whole run."""

    tag: str | None
    reason: Reason
    message: str  # one line: what happened, where, what to do; never a secret

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", one_line(self.message, _MESSAGE))


@dataclass(frozen=True, slots=True)
class KnownTag:
    """What the history knows of a tag of one mirror (tag_state)."""

    name: str
    source_digest: str | None  # what the source last pointed at
    copied_digest: str | None  # source digest of what was last copied and verified
    target_digest: str | None  # what the target was left at (differs if filtered)
    pushed_at: datetime | None = None
    detected_at: datetime | None = None  # when source_digest was first seen
    attempts: int = 0  # failed attempts at source_digest since it was detected
    next_attempt_at: datetime | None = None
    gone_at: datetime | None = None
    suspect: ChangeKind | None = None  # missing or drifted, as an audit saw it; not yet repaired


@dataclass(frozen=True, slots=True)
class Change:
    """One tag to sync."""

    tag: str
    target_tag: str  # differs from tag only by rename
    kind: ChangeKind
    digest: str  # at the source
    pushed_at: datetime | None
    detected_at: datetime
    previous_digest: str | None = None  # of the target, before
    attempt: int = 1  # 1 for the first, counted over runs
    waits_for: tuple[str, ...] = ()  # exact releases with the same digest that go first


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do, in the order in which it starts: exact before floating tags."""

    changes: tuple[Change, ...]
    unchanged: int
    gone: tuple[str, ...] = ()  # recorded; deleted only by policy
    deletions: tuple[Change, ...] = ()  # gone longer than the grace period allows
    held: tuple[Change, ...] = ()  # immutable and moved
    deferred: tuple[str, ...] = ()  # left alone by this run: not due yet
    failing: tuple[str, ...] = ()  # of these, tags that failed before and are still not right
    adopted: tuple[Change, ...] = ()  # the target already holds them: recorded, not copied


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When later runs try a failed tag again: `times` times after `wait`, then `then_every`."""

    times: int = 3
    wait: timedelta = timedelta(minutes=5)
    then_every: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PlacedBlob:
    """A blob that the target repository now holds."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class BlobTally:
    """How the blobs of a tag or a run got to the target."""

    copied: int = 0
    mounted: int = 0
    reused: int = 0

    def __add__(self, other: BlobTally) -> BlobTally:
        return BlobTally(
            self.copied + other.copied, self.mounted + other.mounted, self.reused + other.reused
        )


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """How the copy of one tag ended."""

    change: Change
    started_at: datetime
    ended_at: datetime
    target_digest: str | None = None  # None: failed
    blobs: BlobTally = BlobTally()
    bytes_copied: int = 0
    placed: tuple[PlacedBlob, ...] = ()  # new knowledge for blob_presence, failed tags too
    lost: tuple[str, ...] = ()  # digests that the history listed and the target did not have
    dropped: tuple[Dropped, ...] = ()
    referrers: int = 0
    attempts: int = 1  # tries within this run
    failure: TagFailure | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What separate connections saw of a copied tag at the target."""

    change: Change
    verified_at: datetime
    failure: TagFailure | None = None
    lost: tuple[str, ...] = ()  # digests of blobs that could not be read at the target


@dataclass(frozen=True, slots=True)
class Requests:
    """HTTP requests sent, to the source (its web API included) and to the target."""

    source: int = 0
    target: int = 0


@dataclass(frozen=True, slots=True)
class Seconds:
    """The flow's own work, by step. Copy and verify overlap, so total is not their sum."""

    discover: float = 0.0
    diff: float = 0.0
    copy: float = 0.0
    verify: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class TagTally:
    """Tags of a run."""

    discovered: int = 0
    changed: int = 0
    copied: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a sync run ended: what `mirror sync --json` prints and sync_run stores."""

    mirror: str
    run_id: str
    status: RunStatus
    tags: TagTally = TagTally()
    blobs: BlobTally = BlobTally()
    bytes_copied: int = 0
    requests: Requests = Requests()
    seconds: Seconds = Seconds()
    errors: tuple[TagFailure, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    planned: Mapping[str, str] = field(default_factory=dict)  # dry run: kind by tag

    def __post_init__(self) -> None:
        warnings = tuple(one_line(warning, _MESSAGE) for warning in self.warnings)
        object.__setattr__(self, "warnings", warnings)
