"""One sync as plain async functions: discover, diff, copy, verify, record.

No Prefect and no database: `run` composes the steps, a `Recorder` takes what they do, a `Step`
decides how each of them is run.

    async with open_clients(settings, mirror, secrets) as clients:
        prefetch = Prefetch(clients.source, clients.target, clients.hub)
        async with prefetch:
            outcome, copied = await run(SyncContext(mirror, clients, recorder, prefetch))
"""

from mirror.sync.anonymous_pull import anonymous_trouble
from mirror.sync.blob_placement import SharedUploads
from mirror.sync.clients import MirrorClients, open_clients
from mirror.sync.concurrency import SingleFlight
from mirror.sync.context import SyncContext
from mirror.sync.copy_batch import BatchOutcome
from mirror.sync.diff import diff
from mirror.sync.discover import DiscoverRequest, discover
from mirror.sync.image_rules import image_rules_of
from mirror.sync.lost_tags import find_lost_tags
from mirror.sync.prefetch import Prefetch
from mirror.sync.recorder import Recorder
from mirror.sync.repositories import KnownRepository, RepositoryLook, look_at_repositories
from mirror.sync.run import refuse, run
from mirror.sync.step import Step, StepBroken, SyncProgress
from mirror.sync.tag_rules import TagRules, natural_key, specificity, subject_of, tag_rules_of

__all__ = [
    "BatchOutcome",
    "DiscoverRequest",
    "KnownRepository",
    "MirrorClients",
    "Prefetch",
    "Recorder",
    "RepositoryLook",
    "SharedUploads",
    "SingleFlight",
    "Step",
    "StepBroken",
    "SyncContext",
    "SyncProgress",
    "TagRules",
    "anonymous_trouble",
    "diff",
    "discover",
    "find_lost_tags",
    "image_rules_of",
    "look_at_repositories",
    "natural_key",
    "open_clients",
    "refuse",
    "run",
    "specificity",
    "subject_of",
    "tag_rules_of",
]
