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
    │   ├── InvalidManifest      a malformed manifest                         server_error
    │   └── BudgetExceeded       more than this client takes from a registry  server_error
    ├── TimedOut                 no connection, response or byte in time      timeout
    ├── StorageFull              the registry has no space left               storage
    ├── PolicyRefusal            an immutable tag, a restricted account       refused
    └── RequestRefused           any other 4xx                                refused
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
