"""What the demo registry reads of a manifest's JSON; everything else in it is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.local.fake_registry import media_types as mediatypes
from flows.local.fake_registry.answers import RefusalError


class Entry(BaseModel):
    """A descriptor (image-spec v1.1, "Content Descriptors")."""

    model_config = ConfigDict(frozen=True)

    media_type: str = Field(alias="mediaType")
    digest: str
    size: int


class Document(BaseModel):
    """A manifest or an index, of OCI or Docker's kind."""

    model_config = ConfigDict(frozen=True)

    media_type: str | None = Field(default=None, alias="mediaType")
    artifact_type: str | None = Field(default=None, alias="artifactType")
    config: Entry | None = None
    layers: tuple[Entry, ...] | None = None
    manifests: tuple[Entry, ...] | None = None
    subject: Entry | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Document:
        """The document in `raw`; 400 MANIFEST_INVALID when it is none."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            message = f"manifest invalid: {error.errors()[0]['msg']}"
            raise RefusalError(400, "MANIFEST_INVALID", message) from error

    @property
    def blobs(self) -> Iterator[str]:
        """Digests of the config and of the layers that are to be uploaded."""
        if self.config is not None:
            yield self.config.digest
        for layer in self.layers or ():
            if not mediatypes.is_foreign(layer.media_type):
                yield layer.digest

    @property
    def kind(self) -> str | None:
        """artifactType, or the config's type (distribution-spec v1.1, "Listing Referrers")."""
        return self.artifact_type or (self.config.media_type if self.config else None)

    @property
    def attests(self) -> bool:
        """Whether it is one of BuildKit's attestations: a layer holds an in-toto statement."""
        return any(layer.media_type == mediatypes.IN_TOTO for layer in self.layers or ())
