from . import headers as headers
from .auth import repository_scope as repository_scope
from .budgets import ListBudget as ListBudget
from .capabilities import Capabilities as Capabilities
from .client import HttpSession as HttpSession
from .concurrency import Concurrency as Concurrency
from .endpoint import Credential as Credential, Endpoint as Endpoint
from .error_response import (
    refused_by_policy as refused_by_policy,
    refused_manifest as refused_manifest,
)
from .headers import QuotaStatus as QuotaStatus
from .known_registries import known_registry as known_registry
from .limits import Limits as Limits, RunBudget as RunBudget
from .optional_request import (
    ANSWER_SECONDS as ANSWER_SECONDS,
    ATTEMPTS as ATTEMPTS,
    PLAIN_WAYS as PLAIN_WAYS,
    OptionalRequest as OptionalRequest,
    Refusal as Refusal,
    means_another_way as means_another_way,
)
from .request import (
    Request as Request,
    RequestContext as RequestContext,
    Response as Response,
    Timeouts as Timeouts,
    address_of as address_of,
    decoded as decoded,
    excerpt as excerpt,
    host_of as host_of,
    in_pieces as in_pieces,
    is_cut as is_cut,
    resolve as resolve,
)
from .retries import Clock as Clock, RetryPolicy as RetryPolicy
from .shared_turns import SharedTurns as SharedTurns
from .throughput import (
    ParallelTrial as ParallelTrial,
    StreamMeter as StreamMeter,
    ThroughputSpan as ThroughputSpan,
)
from .traffic import TRAFFIC as TRAFFIC, RegistryTraffic as RegistryTraffic
from .transport import Transport as Transport, environment_proxy as environment_proxy
