"""Which tags there are, and what a run is to do: lists, rules, what is lost, the difference."""

from mirror.sync.tags.diff import diff
from mirror.sync.tags.discover import discover
from mirror.sync.tags.image_rules import (
    ImageRules,
    Rebuild,
    image_rules_of,
    is_attestation,
    is_image_config,
    kept,
    left_out,
    rebuild,
    refused,
    unwanted,
)
from mirror.sync.tags.listing import DiscoverRequest
from mirror.sync.tags.lost_tags import find_lost_tags, read_tags
from mirror.sync.tags.prefetch import Prefetch
from mirror.sync.tags.quota import Budget, read_quota, spend
from mirror.sync.tags.repositories import KnownRepository, RepositoryLook, look_at_repositories
from mirror.sync.tags.tag_rules import (
    TagRules,
    companion_prefix,
    natural_key,
    specificity,
    subject_of,
    tag_rules_of,
)

__all__ = [
    "Budget",
    "DiscoverRequest",
    "ImageRules",
    "KnownRepository",
    "Prefetch",
    "Rebuild",
    "RepositoryLook",
    "TagRules",
    "companion_prefix",
    "diff",
    "discover",
    "find_lost_tags",
    "image_rules_of",
    "is_attestation",
    "is_image_config",
    "kept",
    "left_out",
    "look_at_repositories",
    "natural_key",
    "read_quota",
    "read_tags",
    "rebuild",
    "refused",
    "specificity",
    "spend",
    "subject_of",
    "tag_rules_of",
    "unwanted",
]
