"""References: `[registry/]repository[:tag][@digest]`, Docker Hub's short names included.

The grammar is that of distribution-spec v1.1 ("Pulling manifests": <name> and <reference>) and of
docker's reference package for what precedes the first slash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mirror.outside_text import one_line
from mirror.registry.spec.digest import parse_digest
from mirror.registry.spec.errors import InvalidReference

HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]{{2,45}}\])(?::[0-9]{{1,5}})?", re.ASCII
)
_MAX_NAME: Final = 255


def is_tag(text: str) -> bool:
    """Whether `text` is a tag by the grammar."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether `text` is a repository name by the grammar."""
    return len(text) <= _MAX_NAME and _REPOSITORY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: registry (`docker.io` for Docker Hub), repository, tag and digest."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as docker does; a name without a registry is Docker Hub's.

        Raises InvalidReference, which names the part that is wrong.
        """
        rest, at, digest = text.partition("@")
        if at:
            parse_digest(digest)
        registry, rest = _split_registry(rest, text)
        name, colon, tag = rest.partition(":")
        if colon and not is_tag(tag):
            raise _invalid(text, f"{one_line(tag, 160)!r} is not a tag")
        if registry == HUB and "/" not in name:
            name = f"library/{name}"
        if not is_repository(name):
            raise _invalid(
                text,
                f"{one_line(name, 160)!r} is not a repository name (lower-case letters, digits,"
                " single separators, at most 255 characters)",
            )
        return cls(registry, name, tag or None, digest or None)


def _split_registry(rest: str, text: str) -> tuple[str, str]:
    head, slash, tail = rest.partition("/")
    named = slash and ("." in head or ":" in head or head.lower() == "localhost")
    if not named:
        # Docker takes an upper-case first part for a host; written in lower case it would be a
        # namespace of Docker Hub, so a name without a dot or port cannot be one here.
        return HUB, rest
    if not _HOST.fullmatch(head):
        raise _invalid(text, f"{one_line(head, 160)!r} is not a host[:port]")
    host = head.lower()
    return (HUB if host in _HUB_NAMES else host), tail


def _invalid(text: str, why: str) -> InvalidReference:
    return InvalidReference(f"{one_line(text, 200)!r} is not an image reference: {why}")
