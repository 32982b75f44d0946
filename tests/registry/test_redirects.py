"""Redirects: followed for GET and HEAD, with Authorization for its own origin alone."""

from __future__ import annotations

import httpx
import pytest

from mirror.outside_text import keep_secret
from mirror.registry import Endpoint, ProtocolError, Registry
from mirror.registry.http.request import Request, RequestContext, address_of, origin

START = "https://registry.example.com/v2/a/b/blobs/x"
SENT = {"Authorization": "Bearer secret", "Range": "bytes=5-"}


async def sent(
    places: dict[str, str], method: str = "GET", start: str = START, content: bytes | None = None
) -> tuple[int, str, list[httpx.Request]]:
    """Send a request to a registry that answers 307 to the places named, 200 elsewhere.

    Status and address of the response, and the requests that it took.
    """
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        place = places.get(str(request.url))
        return httpx.Response(307, headers={"Location": place}) if place else httpx.Response(200)

    context = RequestContext("registry.example.com", "reading the blob")
    request = Request(method, start, context, headers=SENT, content=content)
    transport = httpx.MockTransport(answer)
    async with (
        Registry(
            Endpoint("registry.example.com", insecure=start.startswith("http:")),
            transport=transport,
        ) as registry,
        registry.open(request, (200, 307)) as response,
    ):
        return response.status_code, address_of(response), seen


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("https://cdn.example.net/x", False),
        ("https://registry.example.com:5000/x", False),
        ("https://sub.registry.example.com/x", False),
        ("//sub.registry.example.com/x", False),
        ("//evil.test/y", False),
        ("https://registry.example.com:443/x", True),
        ("/v2/elsewhere", True),
        ("../y", True),
    ],
)
async def test_authorization_stays_with_its_origin(place: str, kept: bool) -> None:
    status, address, seen = await sent({START: place})

    assert status == 200
    assert address == seen[1].url == httpx.URL(START).join(place)
    assert ("authorization" in seen[1].headers) is kept
    assert (origin(address) == origin(START)) is kept
    assert seen[1].headers["host"] == seen[1].url.netloc.decode()
    assert seen[1].headers["range"] == "bytes=5-"


async def test_a_registry_that_names_itself_by_http_is_reached_by_https() -> None:
    """So do registries behind a proxy that ends TLS."""
    _, address, seen = await sent({START: "http://registry.example.com/x"})

    assert address == "https://registry.example.com/x"
    assert seen[1].headers["authorization"] == "Bearer secret"


async def test_authorization_does_not_go_from_http_to_https() -> None:
    start = "http://registry.example.com/x"
    _, _, seen = await sent({start: "https://registry.example.com/y"}, start=start)

    assert ["authorization" in request.headers for request in seen] == [True, False]


async def test_authorization_that_was_dropped_does_not_come_back() -> None:
    places = {START: "https://cdn.example.net/x", "https://cdn.example.net/x": START + "2"}
    _, _, seen = await sent(places)

    assert ["authorization" in request.headers for request in seen] == [True, False, False]


async def test_a_redirect_of_an_upload_is_not_followed() -> None:
    status, _, seen = await sent({START: "https://cdn.example.net/x"}, "PUT", content=b"body")

    assert status == 307
    assert len(seen) == 1


async def test_circular_redirects_end() -> None:
    status, _, seen = await sent({START: START}, "HEAD")

    assert status == 307
    assert len(seen) == 6


@pytest.mark.parametrize("place", ["mailto:a@b", "http://x:port/", "ftp://x/y"])
async def test_a_redirect_to_no_address_is_the_registrys_fault(place: str) -> None:
    with pytest.raises(ProtocolError, match="a redirect to no address"):
        await sent({START: place})


async def test_what_is_quoted_of_a_redirect_ends_with_no_part_of_a_secret() -> None:
    keep_secret("kept-for-this-registry")
    with pytest.raises(ProtocolError, match="a redirect to no address") as raised:
        await sent({START: f"mailto:{'x' * 180}kept-for-this-registry"})
    assert "kept" not in str(raised.value)


async def test_httpx_itself_drops_authorization_across_origins() -> None:
    """The locked version does; our own following of redirects is held to the same."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        leads_on = request.url.host == "a.test"
        return httpx.Response(307 if leads_on else 200, headers={"Location": "https://b.test/y"})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
        await client.get("https://a.test/x", headers={"Authorization": "Bearer secret"})
    assert ["authorization" in request.headers for request in seen] == [True, False]
