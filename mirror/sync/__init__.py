"""One sync as plain async functions: discover, diff, copy, verify. No Prefect and no database."""

from mirror.sync.ahead import Ahead
from mirror.sync.anonymous_pull import anonymous_trouble
from mirror.sync.blob_placement import Shared
from mirror.sync.clients import Sides, open_sides, tag_rules_of
from mirror.sync.context import SHARED_UPLOADS, SyncRun
from mirror.sync.deletion import TagRemover
from mirror.sync.diff import diff
from mirror.sync.discover import Look, discover
from mirror.sync.equip import (
    begin,
    budget_of,
    make_copier,
    put_off,
    quota_of,
    remember,
    warn_if_closed,
)
from mirror.sync.mark_referrers import learn_source, mark_late_referrers
from mirror.sync.progress import METER, Meter
from mirror.sync.single_flight import SingleFlight
from mirror.sync.sync_tag import adopt, bring, verify_task
from mirror.sync.tag_order import Landings
from mirror.sync.tag_rules import TagRules, natural_key, specificity, subject_of

__all__ = [
    "METER",
    "SHARED_UPLOADS",
    "Ahead",
    "Landings",
    "Look",
    "Meter",
    "Shared",
    "Sides",
    "SingleFlight",
    "SyncRun",
    "TagRemover",
    "TagRules",
    "adopt",
    "anonymous_trouble",
    "begin",
    "bring",
    "budget_of",
    "diff",
    "discover",
    "learn_source",
    "make_copier",
    "mark_late_referrers",
    "natural_key",
    "open_sides",
    "put_off",
    "quota_of",
    "remember",
    "specificity",
    "subject_of",
    "tag_rules_of",
    "verify_task",
    "warn_if_closed",
]
