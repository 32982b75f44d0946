"""The errors of the registry client: one tree, drawn in the package's docstring.

Every error says in one line what happened, where, and where possible what to do. `reason` is one
of the closed list of failure reasons, so that failures can be counted. No exception of httpx or
aiohttp leaves this package.
"""

from __future__ import annotations

from typing import ClassVar

from mirror.outside_text import one_line


class RegistryError(Exception):
    """Any failure at a registry; the leaves say what."""

    reason: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        registry: str | None = None,
        repository: str | None = None,
        reference: str | None = None,
        status: int | None = None,
        code: str | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(one_line(message))
        self.registry = registry
        self.repository = repository
        self.reference = reference
        self.status = status
        self.code = code
        self.transient = transient  # the same request may well succeed later
        self.retry_after = retry_after  # seconds, where the registry named them
        self.request: str | None = None  # its id, for logs
        self.body = b""  # of the response, to read more from it; never in a message


class InvalidReference(RegistryError, ValueError):
    """A reference, a tag or a digest that the grammar does not allow."""


class Unauthorized(RegistryError):
    """The registry requires a credential, or another one."""

    reason = "auth"


class Denied(Unauthorized):
    """The credential is known and may not do this."""


class UntrustedRealm(Unauthorized):
    """A registry names a token service that must not see the credential."""


class NotFound(RegistryError):
    """The registry has no such repository, tag, manifest or blob."""

    reason = "not_found"


class BlobUnknown(NotFound):
    """The registry has no such blob."""


class ManifestBlobUnknown(NotFound):
    """A manifest was refused: the registry lacks a blob or child that it names."""


class UploadUnknown(NotFound):
    """The registry has lost an upload session: a new one is needed."""


class QuotaExhausted(RegistryError):
    """The pull quota of the account or address is used up."""

    reason = "quota"


class Throttled(RegistryError):
    """The registry asks for fewer requests."""

    reason = "throttled"


class RefusedMediaType(RegistryError):
    """The target refuses a manifest for its type or that of its contents."""

    reason = "refused_media_type"


class UnsupportedMediaType(RefusedMediaType):
    """A manifest type that this client does not copy (schema 1)."""


class DigestMismatch(RegistryError):
    """Bytes that do not match their digest or size."""

    reason = "digest_mismatch"


class ConnectionFailed(RegistryError):
    """No connection could be made, or it broke."""

    reason = "network"


class ServerError(RegistryError):
    """The registry failed (5xx)."""

    reason = "server_error"


class ProtocolError(ServerError):
    """A response that the distribution specification does not allow."""


class ForbiddenAddress(ProtocolError):
    """An address, named by a response, to which no such request is sent."""


class MisdirectedUpload(ProtocolError):
    """An upload session whose address leads elsewhere than to the registry."""


class InvalidManifest(ServerError):
    """A manifest that is not JSON of the form that its media type requires."""


class BudgetExceeded(ServerError):
    """More, longer or slower answers than this client takes from a registry."""


class TimedOut(RegistryError):
    """A connection, a response or the next byte did not arrive in time."""

    reason = "timeout"


class StorageFull(RegistryError):
    """The registry has no space left."""

    reason = "storage"


class PolicyRefusal(RegistryError):
    """A policy of the registry refuses it: an immutable tag, a restricted account."""

    reason = "refused"


class RequestRefused(RegistryError):
    """Any other refusal of a request (4xx)."""

    reason = "refused"


def let_go(error: BaseException | None) -> None:
    """Drop what the tracebacks of an error hold: their frames have the body that was wrong."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
