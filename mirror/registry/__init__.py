"""A client of OCI registries: distribution-spec v1.1, and Docker Hub's web API. Async only.

`Registry(Endpoint("docker.io"))` is the way in; `copy_blob` copies a blob from one repository to
another. Every error is of one tree, with its failure reason:

    RegistryError
    ├── InvalidReference         not a reference, digest or tag               internal
    ├── Unauthorized             401 after a fresh token, or no credential    auth
    │   ├── Denied               403, or the registry's code DENIED           auth
    │   └── UntrustedRealm       a token service of another site              auth
    ├── NotFound                 404: repository, tag, manifest               not_found
    │   ├── BlobUnknown          a blob the registry lacks                    not_found
    │   ├── ManifestBlobUnknown  a manifest whose blobs the registry lacks    not_found
    │   └── UploadUnknown        an upload session that the registry has lost not_found
    ├── QuotaExhausted           429: the pull quota is used up               quota
    ├── Throttled                429: too many requests                       throttled
    ├── RefusedMediaType         a manifest that the target refuses           refused_media_type
    │   └── UnsupportedMediaType a manifest that this client refuses (schema 1) refused_media_type
    ├── DigestMismatch           bytes that do not match their digest or size digest_mismatch
    ├── ConnectionFailed         no connection, or one that broke             network
    ├── ServerError              5xx                                          server_error
    │   ├── ProtocolError        a response the specification forbids         server_error
    │   │   ├── ForbiddenAddress an address that must not be requested        server_error
    │   │   └── MisdirectedUpload an upload session that leads elsewhere      server_error
    │   └── InvalidManifest      a malformed manifest                         server_error
    ├── TimedOut                 no connection, response or byte in time      timeout
    ├── StorageFull              the registry has no space left               storage
    ├── PolicyRefusal            an immutable tag, a restricted account       refused
    └── RequestRefused           any other 4xx                                refused
"""

from mirror.registry.blob_copy import copy_blob
from mirror.registry.capabilities import Capabilities
from mirror.registry.catalog import ListedRepository, list_repositories
from mirror.registry.concurrency import Concurrency
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.endpoint import Credential, Endpoint
from mirror.registry.errors import (
    BlobUnknown,
    ConnectionFailed,
    Denied,
    DigestMismatch,
    ForbiddenAddress,
    InvalidManifest,
    InvalidReference,
    ManifestBlobUnknown,
    MisdirectedUpload,
    NotFound,
    PolicyRefusal,
    ProtocolError,
    QuotaExhausted,
    RefusedMediaType,
    RegistryError,
    RequestRefused,
    ServerError,
    StorageFull,
    Throttled,
    TimedOut,
    Unauthorized,
    UnsupportedMediaType,
    UntrustedRealm,
    UploadUnknown,
)
from mirror.registry.headers import QuotaStatus
from mirror.registry.hub import HubApi, HubPage, HubTag
from mirror.registry.known_registries import known_registry
from mirror.registry.manifest import EMPTY_INDEX, Manifest, rewrite_index
from mirror.registry.media_type import is_foreign_layer
from mirror.registry.optional_request import PLAIN_WAYS, OptionalRequest, Refusal
from mirror.registry.reference import HUB, Reference, is_repository, is_tag
from mirror.registry.registry import PutResult, Registry, Repository
from mirror.registry.request import Timeouts
from mirror.registry.retries import Clock, RetryPolicy
from mirror.registry.transport import Transport, environment_proxy
from mirror.registry.upload_session import UploadSession

__all__ = [
    "EMPTY_INDEX",
    "HUB",
    "PLAIN_WAYS",
    "BlobUnknown",
    "Capabilities",
    "Clock",
    "Concurrency",
    "ConnectionFailed",
    "Credential",
    "Denied",
    "Descriptor",
    "DigestMismatch",
    "Endpoint",
    "ForbiddenAddress",
    "HubApi",
    "HubPage",
    "HubTag",
    "InvalidManifest",
    "InvalidReference",
    "ListedRepository",
    "Manifest",
    "ManifestBlobUnknown",
    "MisdirectedUpload",
    "NotFound",
    "OptionalRequest",
    "PolicyRefusal",
    "ProtocolError",
    "PutResult",
    "QuotaExhausted",
    "QuotaStatus",
    "Reference",
    "Refusal",
    "RefusedMediaType",
    "Registry",
    "RegistryError",
    "Repository",
    "RequestRefused",
    "RetryPolicy",
    "ServerError",
    "StorageFull",
    "Throttled",
    "TimedOut",
    "Timeouts",
    "Transport",
    "Unauthorized",
    "UnsupportedMediaType",
    "UntrustedRealm",
    "UploadSession",
    "UploadUnknown",
    "copy_blob",
    "environment_proxy",
    "is_foreign_layer",
    "is_repository",
    "is_tag",
    "known_registry",
    "list_repositories",
    "parse_digest",
    "rewrite_index",
]
