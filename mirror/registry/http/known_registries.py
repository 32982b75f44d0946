"""What is known of registries in advance, by host pattern.

Facts are from the registries' public documentation and issue threads. What is not confirmed is
None: it is tried at run time and remembered (capabilities.py). A known fact saves the attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class KnownRegistry:
    """What is known of one kind of registry. None: unknown, found out by trying.

    chunk_bytes: uploads must go in chunks of at most this many bytes, each with Content-Length
    and Content-Range (Azure: a monolithic body above about 20 MB is refused).
    realms: pattern of token service hosts that may see the credential, in addition to those of
    the registry's site. denial: what a DENIED may mean there. flat: repositories have two
    components, namespace and name (Aliyun refuses deeper paths). counts_pulls: reading a manifest
    costs a share of a quota, HEAD does not.
    """

    kind: str
    mount: bool | None = None
    single_post: bool | None = None
    chunk_bytes: int | None = None
    resumable: bool | None = None
    ranges: bool | None = None
    referrers: bool | None = None
    realms: str | None = None
    denial: str | None = None
    flat: bool = False
    counts_pulls: bool = False


_ALIYUN_DENIAL: Final = (
    "at Aliyun this also means that the namespace does not exist, that creating repositories"
    " automatically is switched off for it, that the account has no right to push there, or that"
    " the registry password (which is not the console's) is wrong"
)
_ALIYUN_REALMS: Final = r"dockerauth[a-z0-9-]*\.[a-z0-9-]+\.aliyuncs\.com"
_ALIYUN_PERSONAL: Final = KnownRegistry(
    "aliyun-personal",
    single_post=False,
    realms=_ALIYUN_REALMS,
    denial=_ALIYUN_DENIAL,
    flat=True,
)

# First match wins. Hosts as in references: Docker Hub is docker.io.
_KNOWN: Final[tuple[tuple[re.Pattern[str], KnownRegistry], ...]] = (
    (
        re.compile(r"docker\.io"),
        KnownRegistry(
            "docker-hub",
            single_post=False,
            ranges=True,
            referrers=False,
            realms=r"auth\.docker\.io",
            counts_pulls=True,
        ),
    ),
    (
        re.compile(r"crpi-[a-z0-9]+(-vpc)?\.[a-z0-9-]+\.personal\.cr\.aliyuncs\.com"),
        _ALIYUN_PERSONAL,
    ),
    (
        re.compile(r"registry(-vpc|-internal)?\.[a-z0-9-]+\.aliyuncs\.com"),
        _ALIYUN_PERSONAL,
    ),
    (
        re.compile(r"[a-z0-9-]+-registry(-vpc)?\.[a-z0-9-]+\.cr\.aliyuncs\.com"),
        KnownRegistry(
            "aliyun-enterprise",
            single_post=False,
            realms=_ALIYUN_REALMS,
            denial=_ALIYUN_DENIAL,
            flat=True,
        ),
    ),
    (
        re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)"),
        KnownRegistry("azure", single_post=False, chunk_bytes=16 << 20),
    ),
    (re.compile(r"ghcr\.io"), KnownRegistry("ghcr")),
)
_UNKNOWN: Final = KnownRegistry("unknown")


def known_registry(host: str) -> KnownRegistry:
    """What is known of the registry at `host[:port]`."""
    name = host.partition(":")[0].lower()
    return next((known for pattern, known in _KNOWN if pattern.fullmatch(name)), _UNKNOWN)
