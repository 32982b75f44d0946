"""Copying one tag: blobs by the cheapest way, manifests, referrers, within its budget."""

from mirror.sync.copying.bandwidth import bandwidth_limiter_of
from mirror.sync.copying.blob_placement import BlobPlacer
from mirror.sync.copying.copy import Copier
from mirror.sync.copying.shared_transfers import SharedTransfers
from mirror.sync.copying.visibility import until_visible

__all__ = [
    "BlobPlacer",
    "Copier",
    "SharedTransfers",
    "bandwidth_limiter_of",
    "until_visible",
]
