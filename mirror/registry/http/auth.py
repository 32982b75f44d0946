"""Authorization at a registry: Basic, Bearer with tokens, or none.

RFC 9110, 11.6.1; distribution's "Token Authentication Specification" and its OAuth2 form. A token
is kept for its set of scopes, requested once however many requests wait for it, and renewed
before it expires and once on 401.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from mirror.errors import MirrorError
from mirror.outside_text import keep_token
from mirror.registry.http.challenge import Challenge, choose, is_trusted, parse_challenges
from mirror.registry.http.endpoint import Credential, Endpoint
from mirror.registry.http.request import Request, RequestContext, http_url, resolve
from mirror.registry.spec import ProtocolError, RegistryError, UntrustedRealm, load_object

_DEFAULT_LIFE: Final = 60.0  # seconds, where a token service names none (token specification)
_MARGIN: Final = 30.0  # a token is renewed this long before its end, or after 3/4 of a short life
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,65536}", re.ASCII)
_CLIENT_ID: Final = "hagicode-mirror"


def repository_scope(repository: str, *actions: str) -> str:
    """`repository:<name>:<actions>`."""
    return f"repository:{repository}:{','.join(actions)}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    good_until: float


class Authenticator:
    """Answers a registry's challenges.

    fetch: sends a request to a token service and returns the body of its 200 response, or raises
    an error of the tree. clock: seconds, monotonic.
    `scouted`: whether a response has arrived, so that it is known what the registry wants;
    `scouting` is held by the first request.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        fetch: Callable[[Request], Awaitable[bytes]],
        clock: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._fetch = fetch
        self._clock = clock
        self.scouting = asyncio.Lock()
        self.scouted = False
        self.asking = asyncio.Lock()
        self.asked = False  # /v2/, for a challenge that the refusal of a repository lacked
        self.hidden_by: list[str] = []
        self.hidden_at = ""
        self._challenge: Challenge | None = None
        self._wider: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._pending: dict[tuple[str, ...], asyncio.Task[_Token]] = {}
        self._credentials: dict[str, Credential | None] = {}  # last used, by repository

    @property
    def challenged(self) -> bool:
        """Whether the registry has asked for a login."""
        return self._challenge is not None

    def origin(self, scopes: tuple[str, ...]) -> str | None:
        """Where the credential used for these scopes comes from; None where none was used."""
        credential = self._credentials.get(_repository_of(scopes))
        return credential.origin if credential else None

    async def header(self, scopes: tuple[str, ...]) -> str | None:
        """The Authorization for a request that needs these scopes; None for none.

        Raises Unauthorized when the token service refuses, and any error of reaching it.
        """
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            repository = _repository_of(scopes)
            if repository not in self._credentials:
                await self._credential(scopes)
            credential = self._credentials[repository]
            return _basic(credential) if credential else None
        return f"Bearer {(await self._token(challenge, self._wider.get(scopes, scopes))).value}"

    async def renewed(
        self,
        values: Iterable[str],
        scopes: tuple[str, ...],
        refused: str | None,
        address: str = "",
    ) -> str | None:
        """The Authorization to answer a 401 with; None when there is no better one.

        values: its WWW-Authenticate fields. refused: the Authorization that it refused. address:
        where the 401 came from, which a relative realm refers to.
        """
        challenge = choose(parse_challenges(values)) or self._challenge
        if challenge is None:
            return None
        realm = challenge.parameters.get("realm", "")
        if challenge.scheme == "bearer" and address and (found := resolve(realm, address)):
            absolute = realm if http_url(realm) else str(found)
            challenge = Challenge("bearer", {**challenge.parameters, "realm": absolute})
        self._challenge = challenge
        if challenge.scheme == "bearer":
            wider = _merged(self._wider.get(scopes, scopes), challenge.parameters.get("scope", ""))
            self._wider[scopes] = wider
            known = self._tokens.get(wider)
            if known and f"Bearer {known.value}" == refused:
                del self._tokens[wider]
        header = await self.header(scopes)
        return header if header != refused else None

    async def may_be_hidden(self, scopes: tuple[str, ...]) -> bool:
        """Whether a refusal of an anonymous request may mean "log in first".

        So where a credential is configured and the registry has not asked for it: some hide
        private repositories (404, or 403 without a challenge). A credential that cannot be
        looked up is none.
        """
        if self._challenge is not None and not self.hidden_by:
            return False
        try:
            repository = _repository_of(scopes)
            return await asyncio.to_thread(self._endpoint.credential, repository) is not None
        except MirrorError:
            return False

    async def aclose(self) -> None:
        """Cancel pending token requests."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)

    async def _token(self, challenge: Challenge, scopes: tuple[str, ...]) -> _Token:
        known = self._tokens.get(scopes)
        if known and self._clock() < known.good_until:
            return known
        task = self._pending.get(scopes)
        if task is None:
            task = asyncio.create_task(self._request_token(challenge, scopes))
            self._pending[scopes] = task
            task.add_done_callback(lambda done: self._settle(scopes, done))
        return await asyncio.shield(task)

    def _settle(self, scopes: tuple[str, ...], task: asyncio.Task[_Token]) -> None:
        self._pending.pop(scopes, None)
        if not task.cancelled() and task.exception() is None:
            self._tokens[scopes] = task.result()

    async def _request_token(self, challenge: Challenge, scopes: tuple[str, ...]) -> _Token:
        started = self._clock()
        request = self._token_request(challenge, scopes, await self._credential(scopes))
        try:
            document = load_object(await self._fetch(request), "the token service's response")
        except RegistryError as error:
            if error.registry is None:
                error.registry = self._endpoint.host
            raise
        value = document.get("token") or document.get("access_token")
        if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
            service = request.url.partition("?")[0]
            raise self._error(ProtocolError, f"the token service {service} returned no token")
        seconds = _life(document.get("expires_in"))
        keep_token(value)
        if isinstance(renewal := document.get("refresh_token"), str):  # not used, but a secret
            keep_token(renewal)
        return _Token(value, started + max(seconds - _MARGIN, seconds * 0.75))

    def _token_request(
        self, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None
    ) -> Request:
        endpoint, realm = self._endpoint, challenge.parameters["realm"]
        url = http_url(realm)
        if url is None or url.userinfo:
            raise self._error(ProtocolError, "it names a token service that is not an address")
        host = url.raw_host.decode("ascii")
        if url.scheme != "https" and not endpoint.insecure:
            raise self._error(
                UntrustedRealm,
                f"it names the token service {url.scheme}://{host}, which is not https: not"
                " followed (insecure: true would allow it)",
            )
        if credential is not None and not is_trusted(host, endpoint):
            raise self._error(
                UntrustedRealm,
                f"it names the token service {host}, which belongs to another site: the"
                f" credential from {credential.origin} is not shown to it (name it in realm_hosts"
                " if it is yours)",
            )
        context = RequestContext(
            endpoint.host,
            "requesting a token",
            _repository_of(scopes) or None,
            origin=credential.origin if credential else None,
        )
        named = challenge.parameters.get("service")
        service = [] if named is None else [("service", named)]
        headers = {"Accept": "application/json"}
        if credential is not None and credential.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credential.identity_token),
                ("client_id", _CLIENT_ID),
                *service,
                ("scope", " ".join(scopes)),
            ]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode()
            return Request(
                "POST", realm, context, headers=headers, content=content, authorize=False
            )
        if credential is not None:
            headers["Authorization"] = _basic(credential)
        query = urlencode([*service, *(("scope", scope) for scope in scopes)])
        address = f"{realm}{'&' if url.query else '?'}{query}" if query else realm
        return Request("GET", address, context, headers=headers, authorize=False)

    def _error(self, kind: type[RegistryError], message: str) -> RegistryError:
        return RequestContext(self._endpoint.host, "requesting a token").error(kind, message)

    async def _credential(self, scopes: tuple[str, ...]) -> Credential | None:
        """The credential for these scopes, in a thread: it may read files or run a helper."""
        repository = _repository_of(scopes)
        credential = await asyncio.to_thread(self._endpoint.credential, repository)
        self._credentials[repository] = credential
        return credential


def _life(value: object) -> float:
    """The seconds that `expires_in` grants; some token services write the number as a string."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return _DEFAULT_LIFE
    return float(value)


def _basic(credential: Credential) -> str:
    return f"Basic {base64.b64encode(_pair(credential).encode()).decode()}"


def _pair(credential: Credential) -> str:
    return f"{credential.username}:{credential.password}"


def _repository_of(scopes: tuple[str, ...]) -> str:
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        if kind == "repository":
            return rest.rpartition(":")[0]
    return ""


def _merged(scopes: tuple[str, ...], wanted: str) -> tuple[str, ...]:
    """Our scopes and those that a challenge names as one set, actions joined by resource."""
    actions: dict[str, list[str]] = {}
    for scope in (*scopes, *wanted.split()[:8]):
        resource, colon, verbs = scope.rpartition(":")
        if not colon or len(scope) > 512:
            continue
        known = actions.setdefault(resource, [])
        known.extend(verb for verb in verbs.split(",") if verb and verb not in known)
    return tuple(f"{resource}:{','.join(verbs)}" for resource, verbs in actions.items())
