"""Platforms as people write them: `os/architecture[/variant]`, by the names that Go gives them.

The OCI image specification ("image index", platform) takes GOOS and GOARCH; the other spellings are
those that containerd normalises.
"""

from __future__ import annotations

import re

from mirror.config.similar import did_you_mean

_SYSTEMS = (
    *("aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux"),
    *("netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos"),
)
_ARCHITECTURES = (
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64"),
    *("ppc64le", "riscv64", "s390x", "sparc64", "wasm"),
)
_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "armv7": "arm/v7",
    "armv7l": "arm/v7",
    "armv6": "arm/v6",
    "armv8": "arm64",
}
_FORM = re.compile(r"([a-z0-9]+)/([a-z0-9_-]+)(?:/(v?[a-z0-9.]+))?")


def platform(text: str) -> str:
    """`linux/arm/v7` and the like, in lower case. Raises ValueError that says what to write."""
    written = text.strip().lower()
    match = _FORM.fullmatch(written)
    if match is None:
        known = _ALIASES.get(written, written)
        hint = f"; write linux/{known}" if known.partition("/")[0] in _ARCHITECTURES else ""
        raise ValueError(f"{text!r} is not a platform such as linux/amd64 or linux/arm/v7{hint}")
    system, architecture, variant = match.groups()
    architecture = _ALIASES.get(architecture, architecture)
    if system not in _SYSTEMS:
        raise ValueError(f"{text!r}: unknown system {system!r}{_hint(system, _SYSTEMS)}")
    if architecture.partition("/")[0] not in _ARCHITECTURES:
        hint = _hint(architecture, _ARCHITECTURES)
        raise ValueError(f"{text!r}: unknown architecture {architecture!r}{hint}")
    if variant is not None and variant.isdigit():
        raise ValueError(f"{text!r} is not a platform; write {system}/{architecture}/v{variant}")
    return "/".join(part for part in (system, architecture, variant) if part)


def _hint(word: str, known: tuple[str, ...]) -> str:
    return did_you_mean(word, known) or f"; known: {', '.join(known)}"
