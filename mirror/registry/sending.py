"""One request on its way: built, sent, and followed where the registry points elsewhere.

httpx's client does this too, and looks for cookies and reads addresses again and again on the way:
a third of a request's processor time. What a registry needs of it is here: redirects of GET and
HEAD (RFC 9110, 15.4), and Authorization for none but the origin that it was meant for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx

from mirror.registry.transport import Wire

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_ADDRESS: Final = "address"  # response extension


async def send(
    wire: Wire,
    method: str,
    address: str,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None,
    extensions: Mapping[str, object],
) -> httpx.Response:
    """Send a request; the answer's body is unread, and the caller's to close.

    GET and HEAD follow up to five redirects; what is left then comes back as it is. Raises what
    the transport raises, and RemoteProtocolError for a redirect that leads to no address.
    """
    headers = dict(headers)
    for left in range(_MOST_REDIRECTS, -1, -1):
        response = await wire.send(method, address, headers, content, extensions)
        response.extensions[_ADDRESS] = address
        leads_on = response.status_code in _REDIRECTS and "location" in response.headers
        if not leads_on or method not in ("GET", "HEAD") or not left:
            break
        await response.aclose()
        following = _target(response)
        if origin(following) != origin(address):
            headers.pop("Authorization", None)
        address = following
    return response


def address_of(response: httpx.Response) -> str:
    """The address that gave the answer, after redirects."""
    return str(response.extensions[_ADDRESS])


def _target(response: httpx.Response) -> str:
    location = response.headers["location"]
    try:
        target = httpx.URL(address_of(response)).join(location)
    except (httpx.InvalidURL, ValueError):
        target = httpx.URL()
    if not target.host:
        raise httpx.RemoteProtocolError(f"a redirect to no address ({location[:200]!r})")
    return str(target)


def origin(address: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what Authorization belongs to. Raises httpx.InvalidURL."""
    url = httpx.URL(address)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, port
