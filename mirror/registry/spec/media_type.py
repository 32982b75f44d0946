"""Media types of the OCI image specification and of docker's image manifest v2."""

from __future__ import annotations

from typing import Final

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"  # dropped before 1.1
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCTETS: Final = "application/octet-stream"

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT})
SCHEMA1: Final = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
# Schema 1 is accepted only to be refused clearly: without it, registries call such tags unknown.
ACCEPT: Final = ", ".join(
    (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT, *sorted(SCHEMA1))
)

_FOREIGN_PREFIXES: Final = (
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
)


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def is_index(media_type: str) -> bool:
    """Whether it is an OCI index or a docker manifest list."""
    return essence(media_type) in INDEXES


def is_manifest(media_type: str) -> bool:
    """Whether it is a manifest or an index: what is fetched by the manifests endpoint."""
    return essence(media_type) in INDEXES | MANIFESTS


def is_foreign_layer(media_type: str) -> bool:
    """Whether it is a non-distributable layer: referenced, never uploaded."""
    return essence(media_type).startswith(_FOREIGN_PREFIXES)
