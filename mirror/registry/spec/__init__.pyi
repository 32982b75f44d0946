from . import media_type as media_type
from .descriptor import Descriptor as Descriptor, read_descriptor as read_descriptor
from .digest import parse_digest as parse_digest
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
    let_go as let_go,
)
from .json_body import parse_json as parse_json
from .manifest import (
    EMPTY_INDEX as EMPTY_INDEX,
    MAX_BYTES as MAX_BYTES,
    Manifest as Manifest,
    load_object as load_object,
    rewrite_index as rewrite_index,
)
from .media_type import is_foreign_layer as is_foreign_layer
from .reference import (
    HUB as HUB,
    Reference as Reference,
    is_repository as is_repository,
    is_tag as is_tag,
)
