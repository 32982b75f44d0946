"""Which token services may see a registry's credential."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from mirror.registry.endpoint import Endpoint
from mirror.registry.known_registries import quirks_of

# Second levels under which countries register names (com.cn, co.uk): no site of their own.
_GENERIC: Final = frozenset({"ac", "co", "com", "edu", "gov", "net", "or", "org", "ne"})


def trusted(realm_host: str, endpoint: Endpoint) -> bool:
    """Whether the token service at `realm_host` (no port) may see the credential.

    The registry's own host, a host of its own site, a host that is known for this kind of
    registry, or one that the operator named. Any other is a stranger, however it came to be in
    the challenge.
    """
    realm_host = realm_host.lower().rstrip(".")
    own = _host(endpoint.base)
    if realm_host == own or realm_host in endpoint.realm_hosts:
        return True
    pattern = quirks_of(endpoint.host).realms
    if pattern and re.fullmatch(pattern, realm_host):
        return True
    site = _site(own)
    return site is not None and (realm_host == site or realm_host.endswith(f".{site}"))


def _host(base: str) -> str:
    authority = base.partition("://")[2].lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def _site(host: str) -> str | None:
    """The registrable domain of a host, by a rule of thumb on the careful side; None for IPs."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _GENERIC else 2
        return ".".join(labels[-count:]) if len(labels) >= count > 1 and "." in host else None
    return None
