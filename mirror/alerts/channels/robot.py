"""What the chat robots share: one POST, an error code in the answer, 20 messages a minute."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from mirror.alerts.channels.errors import NotConfigured, Refused, TooFast, Unreachable
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.outside_text import one_line
from mirror.registry import environment_proxy

LIMIT, PERIOD = 20, 60.0  # messages, seconds: DingTalk and WeCom; kept for Feishu too
TIMEOUT = 10.0  # seconds for one message, connection and answer
COOLDOWN = 60.0  # seconds without messages after a robot reported too many


def robot_limiter() -> MessageLimiter:
    """The limit of one robot: 20 messages in any 60 seconds."""
    return MessageLimiter(LIMIT, PERIOD)


class _TokenTransport(httpx.AsyncBaseTransport):
    """Sends every request to the address that carries the token.

    httpx logs the URL of each request; added here, below the client, the token is in no log.
    """

    def __init__(self, address: httpx.URL, proxy: str | None) -> None:
        self._inner = httpx.AsyncHTTPTransport(proxy=proxy)
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                self._address,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


async def post(
    channel: str,
    address: str,
    body: Mapping[str, Any],
    timeout: float,
) -> dict[str, Any]:
    """POST a JSON body to the address and return the JSON object that came back.

    The address holds the token; it appears in no error or log.
    Raises Unreachable, TooFast (429) and Refused (any other status than 200, or no JSON object).
    """
    url = httpx.URL(address)
    shown = f"{url.scheme}://{url.netloc.decode()}/"
    proxy = _proxy(channel, url)
    try:
        async with (
            asyncio.timeout(timeout),
            httpx.AsyncClient(transport=_TokenTransport(url, proxy), timeout=timeout) as client,
        ):
            response = await client.post(shown, json=body)
    except (TimeoutError, httpx.TimeoutException):
        raise Unreachable(
            channel, f"{shown} did not answer within {timeout:g} s; check the network"
        ) from None
    except (httpx.TransportError, ssl.SSLError, OSError) as error:
        problem = one_line(str(error) or type(error).__name__)
        raise Unreachable(
            channel, f"{shown} cannot be reached ({problem}); check the url and the network"
        ) from None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise TooFast(channel, f"{shown} accepts no more messages for now (HTTP 429)", COOLDOWN)
    if response.status_code != httpx.codes.OK:
        raise Refused(
            channel, f"{shown} answered HTTP {response.status_code}; check the url and the token"
        )
    try:
        answer = json.loads(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Refused(channel, f"{shown} did not answer with a JSON object; check the url")
    return answer


def _proxy(channel: str, url: httpx.URL) -> str | None:
    """The environment's proxy for an address. Raises NotConfigured for one of another kind."""
    proxy = environment_proxy(url.scheme, url.netloc.decode())
    if proxy is not None and not proxy.startswith(("http://", "https://")):
        raise NotConfigured(
            channel,
            f"the proxy for {url.host} is not http://host:port, the only kind that works here;"
            f" correct {url.scheme.upper()}_PROXY or ALL_PROXY, or name {url.host} in NO_PROXY",
        )
    return proxy


def check(
    channel: str,
    answer: Mapping[str, Any],
    *,
    code: str,
    text: str,
    too_fast: tuple[int, ...],
    hints: Mapping[int, str],
) -> None:
    """Check the robot's own code, which is 0 for success whatever the HTTP status.

    Raises TooFast for one of `too_fast`, Refused for any other than 0.
    """
    value = answer.get(code)
    if value == 0 and not isinstance(value, bool):
        return
    said = one_line(str(answer.get(text, "")), 200)
    if value in too_fast:
        raise TooFast(channel, f"too many messages ({code} {value}: {said})", COOLDOWN)
    hint = hints.get(value, "check its settings") if isinstance(value, int) else "check the url"
    raise Refused(channel, f"the robot refused the message ({code} {value}: {said}); {hint}")
