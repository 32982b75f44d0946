"""Requests with their authorization: a token, a fresh one after 401, a login where none was asked.

distribution-spec v1.1, "Authorization".
"""

from __future__ import annotations

from dataclasses import replace

import httpx

from mirror.registry.http.auth import Authenticator
from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.exchange import Exchange
from mirror.registry.http.request import Request, address_of


class AuthorizedExchange:
    """Sends requests to one registry with what its Authenticator says."""

    def __init__(self, endpoint: Endpoint, exchange: Exchange, auth: Authenticator) -> None:
        self._ping = f"{endpoint.base}/v2/"
        self._exchange = exchange
        self._auth = auth

    async def send(self, request: Request, *, first: bool = False) -> httpx.Response:
        """Send a request with its token; a 401 is answered once with a fresh one."""
        if not request.authorize:
            return await self._exchange.send(request, None)
        if not (self._auth.scouted or first):
            return await self._scouting(request)
        own = self._exchange.is_own(request.url)
        authorization = await self._auth.header(request.scopes) if own else None
        response = await self._exchange.send(request, authorization)
        if authorization is None and own and response.status_code in (401, 403, 404):
            found = await self._logged_in(request, response)
            if found is not None:
                return found
        if response.status_code != 401 or not own or not request.replayable:
            return response
        if not self._exchange.is_own(address_of(response)):
            return response  # another host's refusal is not a challenge of the registry
        try:
            challenges = response.headers.get_list("www-authenticate")
            renewed = await self._auth.renewed(
                challenges, request.scopes, authorization, address_of(response)
            )
            if renewed is None:
                return response
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return await self._exchange.send(request, renewed)

    async def _logged_in(self, request: Request, refused: httpx.Response) -> httpx.Response | None:
        """The response to a request that was refused without a challenge, sent with a login.

        None where that changes nothing: a challenge came with the refusal, no credential is
        configured, or /v2/ asks for none. /v2/ is asked once.
        """
        if (refused.status_code == 401 and "www-authenticate" in refused.headers) or (
            not request.replayable or not await self._auth.may_be_hidden(request.scopes)
        ):
            return None
        async with self._auth.asking:
            if not self._auth.asked:
                self._auth.asked = True
                context = replace(request.context, doing="checking the API version")
                ping = Request("GET", self._ping, context)
                response = await self._exchange.send(ping, None)
                self._auth.hidden_by = response.headers.get_list("www-authenticate")
                self._auth.hidden_at = address_of(response)
                await response.aclose()
        if not self._auth.hidden_by:
            return None
        renewed = await self._auth.renewed(
            self._auth.hidden_by, request.scopes, None, self._auth.hidden_at
        )
        if renewed is None:
            return None
        await refused.aclose()
        return await self._exchange.send(request, renewed)

    async def _scouting(self, request: Request) -> httpx.Response:
        # The first request finds out which authorization the registry wants; the others wait for
        # it, so that 200 concurrent ones do not collect 200 refusals.
        async with self._auth.scouting:
            if not self._auth.scouted:
                try:
                    return await self.send(request, first=True)
                finally:
                    self._auth.scouted = True
        return await self.send(request)
