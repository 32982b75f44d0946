"""What the sample registry reads of a manifest's JSON; everything else in it is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.replies import RefusalError


class DescriptorEntry(BaseModel):
    """A descriptor (image-spec v1.1, "Content Descriptors")."""

    model_config = ConfigDict(frozen=True)

    media_type: str = Field(alias="mediaType")
    digest: str
    size: int


class ManifestDocument(BaseModel):
    """A manifest or an index, of OCI or Docker's kind."""

    model_config = ConfigDict(frozen=True)

    media_type: str | None = Field(default=None, alias="mediaType")
    artifact_type: str | None = Field(default=None, alias="artifactType")
    config: DescriptorEntry | None = None
    layers: tuple[DescriptorEntry, ...] | None = None
    manifests: tuple[DescriptorEntry, ...] | None = None
    subject: DescriptorEntry | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def parse(cls, raw: bytes) -> ManifestDocument:
        """The document in `raw`; 400 MANIFEST_INVALID when it is malformed."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            message = f"manifest invalid: {error.errors()[0]['msg']}"
            raise RefusalError(400, "MANIFEST_INVALID", message) from error

    @property
    def blobs(self) -> Iterator[str]:
        """Digests of the config and of the layers to upload."""
        if self.config is not None:
            yield self.config.digest
        for layer in self.layers or ():
            if not mediatypes.is_foreign(layer.media_type):
                yield layer.digest

    @property
    def kind(self) -> str | None:
        """artifactType, or the config's type (distribution-spec v1.1, "Listing Referrers")."""
        return self.artifact_type or (self.config.media_type if self.config else None)
