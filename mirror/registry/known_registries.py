"""What is known of registries before they are asked, by host pattern.

Facts come from the registries' public documentation and issue threads; what is not confirmed is
left None: it is tried at run time and remembered (abilities.py). A known fact saves the try.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Quirks:
    """What is known of one kind of registry. None: not known, so found out by trying.

    chunk_bytes: uploads must come in chunks of at most this many bytes, each with Content-Length
    and Content-Range (Azure: a monolithic body above about 20 MB is refused).
    realms: pattern of token service hosts that may see the credential beside those of its own
    site. denial: what a DENIED may mean there.
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


_ALIYUN_DENIAL: Final = (
    "at Aliyun this also means that the namespace does not exist, that creating repositories"
    " automatically is switched off for it, that the account has no right to push there, or that"
    " the registry password (not the console's) is another"
)
_ALIYUN_REALMS: Final = r"dockerauth[a-z0-9-]*\.[a-z0-9-]+\.aliyuncs\.com"

# First match wins. Hosts as in references: Docker Hub is docker.io.
_KNOWN: Final[tuple[tuple[re.Pattern[str], Quirks], ...]] = (
    (
        re.compile(r"docker\.io"),
        Quirks(
            "docker-hub",
            single_post=False,
            ranges=True,
            referrers=False,
            realms=r"auth\.docker\.io",
        ),
    ),
    (
        re.compile(r"crpi-[a-z0-9]+(-vpc)?\.[a-z0-9-]+\.personal\.cr\.aliyuncs\.com"),
        Quirks("aliyun-personal", single_post=False, realms=_ALIYUN_REALMS, denial=_ALIYUN_DENIAL),
    ),
    (
        re.compile(r"registry(-vpc|-internal)?\.[a-z0-9-]+\.aliyuncs\.com"),
        Quirks("aliyun-personal", single_post=False, realms=_ALIYUN_REALMS, denial=_ALIYUN_DENIAL),
    ),
    (
        re.compile(r"[a-z0-9-]+-registry(-vpc)?\.[a-z0-9-]+\.cr\.aliyuncs\.com"),
        Quirks(
            "aliyun-enterprise", single_post=False, realms=_ALIYUN_REALMS, denial=_ALIYUN_DENIAL
        ),
    ),
    (
        re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)"),
        Quirks("azure", single_post=False, chunk_bytes=16 << 20),
    ),
    (re.compile(r"ghcr\.io"), Quirks("ghcr", chunk_bytes=None)),
)
_UNKNOWN: Final = Quirks("unknown")


def quirks_of(host: str) -> Quirks:
    """What is known of the registry at `host[:port]`."""
    name = host.partition(":")[0].lower()
    return next((known for pattern, known in _KNOWN if pattern.fullmatch(name)), _UNKNOWN)


def denial_hint(host: str) -> str | None:
    """What a DENIED of this registry may mean, in a clause; None where nothing is known."""
    return quirks_of(host).denial
