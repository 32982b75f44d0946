"""Challenges of WWW-Authenticate, and which token service may see a credential.

RFC 9110, 11.6.1.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.known_registries import known_registry
from mirror.registry.http.request import http_url

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - the grammar's word for a name
_PARAMETER: Final = re.compile(
    rf"\s*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))\s*", re.ASCII | re.DOTALL
)
_SCHEME: Final = re.compile(rf"\s*({_TOKEN})(?:\s+|$|(?=,))", re.ASCII)
# The other form of a challenge's content, such as Negotiate's: "token68" of RFC 9110, 11.2.
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))", re.ASCII)
_SEPARATORS: Final = re.compile(r"[\s,]*")
_COMMA: Final = re.compile(r"[\s,]*,[\s,]*")
# Second levels under which countries register names (com.cn, co.uk): not sites.
_GENERIC: Final = frozenset({"ac", "co", "com", "edu", "gov", "net", "or", "org", "ne"})


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate challenge: its scheme in lower case, its parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of every WWW-Authenticate field, in order.

    Reading a field stops at what cannot be parsed; nothing is raised.
    """
    return tuple(challenge for value in values for challenge in _parse(value))


def _parse(value: str) -> Iterable[Challenge]:
    position = 0
    while True:
        if separators := _SEPARATORS.match(value, position):
            position = separators.end()
        scheme = _SCHEME.match(value, position)
        if not scheme:
            return
        position = scheme.end()
        if content := _TOKEN68.match(value, position):
            position = content.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(value, position):
            text = found.group(3)
            if text is None:
                text = re.sub(r"\\(.)", r"\1", found.group(2), flags=re.DOTALL)
            parameters.setdefault(found.group(1).lower(), text)
            position = found.end()
            comma = _COMMA.match(value, position)
            if not comma:
                break
            position = comma.end()
        yield Challenge(scheme.group(1).lower(), parameters)


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: Bearer with a realm before Basic; None for neither."""
    found = tuple(challenges)
    for challenge in found:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    return next((c for c in found if c.scheme == "basic"), None)


def is_trusted(realm_host: str, endpoint: Endpoint) -> bool:
    """Whether the token service at `realm_host` (no port) may see the credential.

    The registry's host, a host of its site, a host that is known for this kind of registry, or
    one that the operator named. Any other is not trusted, however it came into the challenge.
    """
    realm_host = realm_host.lower().rstrip(".")
    base = http_url(endpoint.base)
    own = base.raw_host.decode("ascii") if base else ""
    if realm_host == own or realm_host in endpoint.realm_hosts:
        return True
    pattern = known_registry(endpoint.host).realms
    if pattern and re.fullmatch(pattern, realm_host):
        return True
    site = _site(own)
    return site is not None and (realm_host == site or realm_host.endswith(f".{site}"))


def _site(host: str) -> str | None:
    """The registrable domain of a host, by a conservative rule of thumb; None for IP addresses."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _GENERIC else 2
        return ".".join(labels[-count:]) if len(labels) >= count > 1 and "." in host else None
    return None
