"""A client of OCI registries: distribution-spec v1.1, Docker Hub's web API beside it.

Async only. `Registry(Endpoint("docker.io"))` is the way in; `copy_blob` moves a blob from one
repository to another. Every error is of the tree drawn in errors.py.
"""

from mirror.registry.abilities import Abilities
from mirror.registry.copying import copy_blob
from mirror.registry.credentials import Credential, Endpoint
from mirror.registry.descriptors import Descriptor, Platform
from mirror.registry.digests import Digest, digest_of, parse_digest
from mirror.registry.errors import (
    BlobUnknown,
    ConnectionFailed,
    Denied,
    DigestMismatch,
    InvalidManifest,
    InvalidReference,
    ManifestBlobUnknown,
    NotFound,
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
from mirror.registry.exchange import Timeouts
from mirror.registry.headers import QuotaReading
from mirror.registry.hub import HubApi, HubPage, HubRepository, HubTag
from mirror.registry.limits import Concurrency
from mirror.registry.manifests import Manifest
from mirror.registry.mediatypes import is_foreign_layer, is_index, is_manifest
from mirror.registry.quirks import Quirks, quirks_of
from mirror.registry.references import Reference, is_repository, is_tag
from mirror.registry.registry import Registry
from mirror.registry.repository import PutResult, Repository
from mirror.registry.retries import Clockwork, RetryPolicy
from mirror.registry.transport import Wire, environment_proxy
from mirror.registry.uploads import Upload

__all__ = [
    "Abilities",
    "BlobUnknown",
    "Clockwork",
    "Concurrency",
    "ConnectionFailed",
    "Credential",
    "Denied",
    "Descriptor",
    "Digest",
    "DigestMismatch",
    "Endpoint",
    "HubApi",
    "HubPage",
    "HubRepository",
    "HubTag",
    "InvalidManifest",
    "InvalidReference",
    "Manifest",
    "ManifestBlobUnknown",
    "NotFound",
    "Platform",
    "ProtocolError",
    "PutResult",
    "Quirks",
    "QuotaExhausted",
    "QuotaReading",
    "Reference",
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
    "Unauthorized",
    "UnsupportedMediaType",
    "UntrustedRealm",
    "Upload",
    "UploadUnknown",
    "Wire",
    "copy_blob",
    "digest_of",
    "environment_proxy",
    "is_foreign_layer",
    "is_index",
    "is_manifest",
    "is_repository",
    "is_tag",
    "parse_digest",
    "quirks_of",
]
