"""A client of OCI registries: distribution-spec v1.1, Docker Hub's web API beside it.

Async only. `Registry(Endpoint("docker.io"))` is the way in; `copy_blob` moves a blob from one
repository to another. Every error is of the tree drawn in errors.py.
"""

from flows.registry.abilities import Abilities
from flows.registry.copying import copy_blob
from flows.registry.credentials import Credential, Endpoint
from flows.registry.descriptors import Descriptor, Platform
from flows.registry.digests import Digest, digest_of, parse_digest
from flows.registry.errors import (
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
from flows.registry.exchange import Timeouts
from flows.registry.headers import QuotaReading
from flows.registry.hub import HubApi, HubPage, HubRepository, HubTag
from flows.registry.limits import Concurrency
from flows.registry.manifests import Manifest
from flows.registry.mediatypes import is_foreign_layer, is_index, is_manifest
from flows.registry.quirks import Quirks, quirks_of
from flows.registry.references import Reference, is_repository, is_tag
from flows.registry.registry import Registry
from flows.registry.repository import PutResult, Repository
from flows.registry.retries import Clockwork, RetryPolicy

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
    "UploadUnknown",
    "copy_blob",
    "digest_of",
    "is_foreign_layer",
    "is_index",
    "is_manifest",
    "is_repository",
    "is_tag",
    "parse_digest",
    "quirks_of",
]
