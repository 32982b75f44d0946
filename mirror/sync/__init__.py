"""One sync as plain async functions: discover, diff, copy, verify, record.

No Prefect and no database: `run` composes the steps, a `Recorder` takes what they do, a `Step`
decides how each of them is run.

    async with open_clients(settings, mirror, secrets) as clients:
        prefetch = Prefetch(clients.source, clients.target, clients.hub)
        async with prefetch:
            outcome, copied = await run(SyncContext(mirror, clients, recorder, prefetch))
"""

from mirror.concurrency import SingleFlight
from mirror.sync.anonymous_pull import anonymous_trouble
from mirror.sync.clients import MirrorClients, open_clients
from mirror.sync.context import SyncContext
from mirror.sync.copy_batch import BatchOutcome
from mirror.sync.copying import SharedTransfers
from mirror.sync.learnt_capabilities import load_source
from mirror.sync.recorder import Learnt, Recorder
from mirror.sync.run import refuse, run
from mirror.sync.signatures import SignatureCheck
from mirror.sync.step import Step, StepBroken, SyncProgress, call as call_step
from mirror.sync.tags import (
    DiscoverRequest,
    KnownRepository,
    Prefetch,
    RepositoryLook,
    TagRules,
    diff,
    discover,
    find_lost_tags,
    image_rules_of,
    look_at_repositories,
    natural_key,
    specificity,
    subject_of,
    tag_rules_of,
)

__all__ = [
    "BatchOutcome",
    "DiscoverRequest",
    "KnownRepository",
    "Learnt",
    "MirrorClients",
    "Prefetch",
    "Recorder",
    "RepositoryLook",
    "SharedTransfers",
    "SignatureCheck",
    "SingleFlight",
    "Step",
    "StepBroken",
    "SyncContext",
    "SyncProgress",
    "TagRules",
    "anonymous_trouble",
    "call_step",
    "diff",
    "discover",
    "find_lost_tags",
    "image_rules_of",
    "load_source",
    "look_at_repositories",
    "natural_key",
    "open_clients",
    "refuse",
    "run",
    "specificity",
    "subject_of",
    "tag_rules_of",
]
