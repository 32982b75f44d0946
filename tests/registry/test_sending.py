"""Redirects: followed for GET and HEAD, with Authorization for its own origin alone."""

from __future__ import annotations

import httpx
import pytest

from mirror.registry.sending import address_of, send
from mirror.registry.transport import Wire

START = "https://registry.example.com/v2/a/b/blobs/x"
SENT = {"Authorization": "Bearer secret", "Range": "bytes=5-"}


def leading(places: dict[str, str], asked: list[httpx.Request]) -> Wire:
    """Answers 307 to the places named, 200 elsewhere."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        place = places.get(str(request.url))
        return httpx.Response(307, headers={"Location": place}) if place else httpx.Response(200)

    return Wire(httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("https://cdn.example.net/x", False),
        ("http://registry.example.com/x", False),
        ("https://registry.example.com:5000/x", False),
        ("//sub.registry.example.com/x", False),
        ("https://registry.example.com:443/x", True),
        ("/v2/elsewhere", True),
        ("../y", True),
    ],
)
async def test_authorization_stays_with_its_origin(place: str, kept: bool) -> None:
    asked: list[httpx.Request] = []
    response = await send(leading({START: place}, asked), "GET", START, SENT, None, {})

    assert response.status_code == 200
    assert address_of(response) == asked[1].url == httpx.URL(START).join(place)
    assert ("authorization" in asked[1].headers) is kept
    assert asked[1].headers["host"] == asked[1].url.netloc.decode()
    assert asked[1].headers["range"] == "bytes=5-"


async def test_authorization_that_was_dropped_does_not_come_back() -> None:
    asked: list[httpx.Request] = []
    places = {
        START: "https://cdn.example.net/x",
        "https://cdn.example.net/x": START + "2",
    }
    await send(leading(places, asked), "GET", START, SENT, None, {})

    assert ["authorization" in request.headers for request in asked] == [True, False, False]


async def test_a_redirect_of_an_upload_is_not_followed() -> None:
    asked: list[httpx.Request] = []
    places = {START: "https://cdn.example.net/x"}
    response = await send(leading(places, asked), "PUT", START, SENT, b"body", {})

    assert response.status_code == 307
    assert len(asked) == 1


async def test_redirects_in_a_circle_end() -> None:
    asked: list[httpx.Request] = []
    response = await send(leading({START: START}, asked), "HEAD", START, {}, None, {})

    assert response.status_code == 307
    assert len(asked) == 6


@pytest.mark.parametrize("place", ["mailto:a@b", "http://x:port/"])
async def test_a_redirect_to_no_address_is_the_registrys_fault(place: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="a redirect to no address"):
        await send(leading({START: place}, []), "GET", START, {}, None, {})
