"""Where requests may go that a Location, a Link, a realm or a redirect names.

A registry, or an attacker who responds in its place, must not make this client write to other
services, nor read from this machine and its network (server-side request forgery, CWE-918).
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import httpx

from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.request import Request, host_of, http_url, origin
from mirror.registry.spec import ForbiddenAddress, RegistryError

Resolve = Callable[[httpx.URL], Awaitable[tuple[str, ...]]]

_READING: Final = frozenset({"GET", "HEAD"})
# Prefect, PostgreSQL and the site where nothing says otherwise.
_OWN_PORTS: Final = frozenset({4200, 5432, 8080})
_OWN_SERVICES: Final = (
    "PREFECT_API_URL",
    "MIRROR_SITE_URL",
    "MIRROR_SITE_LISTENS",  # set by `mirror up`
    "MIRROR_DATABASE_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}


class Destinations:
    """Where the requests of one registry client may go.

    Its own address, and that of its web API, always. Elsewhere GET and HEAD alone, except for the
    hosts that the operator named and for token services; never from https to http; and never to
    an address of this machine or its network, unless the registry itself is in the same place.
    """

    def __init__(self, endpoint: Endpoint, resolve: Resolve) -> None:
        """resolve: the addresses to which a connection for a URL is then made; none where
        somebody else resolves its host (a proxy)."""
        self._endpoint = endpoint
        self._resolve = resolve
        self._own = {origin(endpoint.base)}
        if endpoint.web_api and http_url(endpoint.web_api):
            self._own.add(origin(endpoint.web_api))
        self._named = endpoint.storage_hosts | endpoint.realm_hosts

    async def check(self, method: str, address: str, request: Request) -> None:
        """Raise ForbiddenAddress unless the request may be sent there."""
        if self._is_own(address):
            return
        url = http_url(address)
        if url is None:
            raise self._forbidden(method, "no address", "", request)
        if problem := self._problem(method, url, request):
            raise self._forbidden(method, host_of(address), problem, request)
        host, port = url.host.strip("[]"), url.port or _DEFAULT_PORTS[url.scheme]
        kinds = {_kind(one) for one in await self._addresses(url)} - {None}
        if not kinds:
            return
        if (host.lower(), port) in _own_services() or (
            port in _OWN_PORTS and f"{url.netloc.decode('ascii')}".lower() not in self._named
        ):
            problem = "a service of this program"
            raise self._forbidden(method, host_of(address), problem, request)
        if self._is_named(url) or kinds <= await self._own_kinds():
            return
        problem = f"a {' and '.join(sorted(str(kind) for kind in kinds))} address"
        raise self._forbidden(method, host_of(address), problem, request)

    def upload_problem(self, address: str) -> str:
        """Why an upload session must not lead to this address; empty where it may."""
        url = http_url(address)
        return "no address" if url is None else self._write_problem("PUT", url)

    def _problem(self, method: str, url: httpx.URL, request: Request) -> str:
        if method in _READING:
            downgraded = url.scheme == "http" and not self._endpoint.insecure
            return "not https" if downgraded and not request.proved else ""
        if not request.authorize:  # to a token service, which challenge.is_trusted admits
            return ""
        return self._write_problem(method, url)

    def _write_problem(self, method: str, url: httpx.URL) -> str:
        if self._is_own(str(url)):
            return ""
        if url.scheme == "http" and not self._endpoint.insecure:
            return "not https"
        if method == "DELETE" or not self._is_named(url, self._endpoint.storage_hosts):
            return "another host than the registry"
        return ""

    def _is_own(self, address: str) -> bool:
        if address.startswith(f"{self._endpoint.base}/"):
            return True
        scheme, host, port = origin(address)
        upgraded = scheme == "https" and ("http", host, 80 if port == 443 else port) in self._own
        return (scheme, host, port) in self._own or upgraded

    def _is_named(self, url: httpx.URL, named: frozenset[str] | None = None) -> bool:
        names = self._named if named is None else named
        return url.host.lower() in names or url.netloc.decode("ascii").lower() in names

    async def _addresses(self, url: httpx.URL) -> tuple[str, ...]:
        host = url.host.strip("[]")
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        if re.fullmatch(r"(?:.*\.)?localhost\.?", host.lower()):
            return ("127.0.0.1",)
        return await self._resolve(url)

    async def _own_kinds(self) -> set[str | None]:
        """What kinds of addresses the registry itself has."""
        return {_kind(one) for one in await self._addresses(httpx.URL(self._endpoint.base))}

    def _forbidden(self, method: str, host: str, problem: str, request: Request) -> RegistryError:
        named = f"{host}, {problem}" if problem else host
        return request.context.error(
            ForbiddenAddress,
            f"{method} was led to {named}: not sent (name the host in storage_hosts of"
            f" {self._endpoint.host} if it belongs to the registry)",
        )


def _kind(address: str) -> str | None:
    """loopback, link-local or private; None for an address of the internet."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        one = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None) or one
    if one.is_loopback or one.is_unspecified:
        return "loopback"
    if one.is_link_local:
        return "link-local"
    return None if one.is_global and not one.is_multicast else "private"


def _own_services() -> frozenset[tuple[str, int]]:
    """Host and port of Prefect's server and of the databases, under every name of this machine."""
    found: set[tuple[str, int]] = set()
    for name in _OWN_SERVICES:
        try:
            parts = urlsplit(os.environ.get(name, ""))
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            continue
        if host and port:
            found.add((host.lower(), port))
            if host in ("localhost", "127.0.0.1", "::1", "0.0.0.0"):  # noqa: S104 - compared
                found |= {(one, port) for one in ("localhost", "127.0.0.1", "::1")}
    return frozenset(found)
