from .blob_copy import copy_blob as copy_blob
from .capabilities import Capabilities as Capabilities
from .catalog import ListedRepository as ListedRepository, list_repositories as list_repositories
from .concurrency import Concurrency as Concurrency
from .descriptor import Descriptor as Descriptor
from .digest import parse_digest as parse_digest
from .endpoint import Credential as Credential, Endpoint as Endpoint
from .errors import (
    BlobUnknown as BlobUnknown,
    BudgetExceeded as BudgetExceeded,
    ConnectionFailed as ConnectionFailed,
    Denied as Denied,
    DigestMismatch as DigestMismatch,
    ForbiddenAddress as ForbiddenAddress,
    InvalidManifest as InvalidManifest,
    InvalidReference as InvalidReference,
    ManifestBlobUnknown as ManifestBlobUnknown,
    MisdirectedUpload as MisdirectedUpload,
    NotFound as NotFound,
    PolicyRefusal as PolicyRefusal,
    ProtocolError as ProtocolError,
    QuotaExhausted as QuotaExhausted,
    RefusedMediaType as RefusedMediaType,
    RegistryError as RegistryError,
    RequestRefused as RequestRefused,
    ServerError as ServerError,
    StorageFull as StorageFull,
    Throttled as Throttled,
    TimedOut as TimedOut,
    Unauthorized as Unauthorized,
    UnsupportedMediaType as UnsupportedMediaType,
    UntrustedRealm as UntrustedRealm,
    UploadUnknown as UploadUnknown,
)
from .headers import QuotaStatus as QuotaStatus
from .hub import HubApi as HubApi, HubPage as HubPage, HubTag as HubTag
from .known_registries import known_registry as known_registry
from .manifest import (
    EMPTY_INDEX as EMPTY_INDEX,
    Manifest as Manifest,
    rewrite_index as rewrite_index,
)
from .media_type import is_foreign_layer as is_foreign_layer
from .optional_request import (
    PLAIN_WAYS as PLAIN_WAYS,
    OptionalRequest as OptionalRequest,
    Refusal as Refusal,
)
from .reference import (
    HUB as HUB,
    Reference as Reference,
    is_repository as is_repository,
    is_tag as is_tag,
)
from .registry import PutResult as PutResult, Registry as Registry, Repository as Repository
from .request import Timeouts as Timeouts
from .retries import Clock as Clock, RetryPolicy as RetryPolicy
from .transport import Transport as Transport, environment_proxy as environment_proxy
from .upload_session import UploadSession as UploadSession
