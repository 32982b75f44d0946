"""Who we are at a registry: Basic, Bearer with tokens, or nobody.

Token protocol: distribution's "Token Authentication Specification" and its OAuth2 form. A token
is kept for its set of scopes, asked for once however many requests wait for it, and renewed
before it expires and once on 401.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import SplitResult, urlencode, urlsplit

from mirror.registry.challenges import Challenge, choose, parse_challenges
from mirror.registry.endpoint import Credential, Endpoint
from mirror.registry.errors import ProtocolError, RegistryError, UntrustedRealm
from mirror.registry.manifest import load_object
from mirror.registry.realms import trusted

_DEFAULT_LIFE: Final = 60.0  # seconds, where a token service names none (token specification)
_MARGIN: Final = 30.0  # a token is renewed this long before its end, or after 3/4 of a short life
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,65536}", re.ASCII)
_CLIENT_ID: Final = "hagicode-mirror"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to a token service."""

    url: str
    form: bytes | None = field(repr=False)  # None: GET
    authorization: str | None = field(repr=False)
    repository: str
    origin: str | None


class TokenFetcher(Protocol):
    """Makes a token request and gives the body of its 200 answer, or raises of the tree."""

    def __call__(self, request: TokenRequest, /) -> Awaitable[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    good_until: float


def repository_scope(repository: str, *actions: str) -> str:
    """`repository:<name>:<actions>`."""
    return f"repository:{repository}:{','.join(actions)}"


class Authenticator:
    """Answers a registry's challenges.

    `scouted`: whether a request has come back already, so that what the registry wants is known;
    `scouting` is held by the first one.
    """

    def __init__(self, endpoint: Endpoint, fetch: TokenFetcher, clock: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._fetch = fetch
        self._clock = clock  # seconds, monotonic
        self.scouting = asyncio.Lock()
        self.scouted = False
        self._challenge: Challenge | None = None
        self._wider: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._pending: dict[tuple[str, ...], asyncio.Task[_Token]] = {}
        self._credentials: dict[str, Credential | None] = {}  # last used, by repository

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
        self, values: Iterable[str], scopes: tuple[str, ...], refused: str | None
    ) -> str | None:
        """The Authorization to answer a 401 with; None when there is nothing better to say.

        values: its WWW-Authenticate fields. refused: the Authorization that it refused.
        """
        challenge = choose(parse_challenges(values)) or self._challenge
        if challenge is None:
            return None
        self._challenge = challenge
        if challenge.scheme == "bearer":
            wider = _merged(self._wider.get(scopes, scopes), challenge.parameters.get("scope", ""))
            self._wider[scopes] = wider
            known = self._tokens.get(wider)
            if known and f"Bearer {known.value}" == refused:
                del self._tokens[wider]
        header = await self.header(scopes)
        return header if header != refused else None

    async def aclose(self) -> None:
        """Give up token requests that are under way."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)

    async def _token(self, challenge: Challenge, scopes: tuple[str, ...]) -> _Token:
        known = self._tokens.get(scopes)
        if known and self._clock() < known.good_until:
            return known
        task = self._pending.get(scopes)
        if task is None:
            task = asyncio.create_task(self._ask(challenge, scopes))
            self._pending[scopes] = task
            task.add_done_callback(lambda done: self._settle(scopes, done))
        return await asyncio.shield(task)

    def _settle(self, scopes: tuple[str, ...], task: asyncio.Task[_Token]) -> None:
        self._pending.pop(scopes, None)
        if not task.cancelled() and task.exception() is None:
            self._tokens[scopes] = task.result()

    async def _ask(self, challenge: Challenge, scopes: tuple[str, ...]) -> _Token:
        begun = self._clock()
        request = self._token_request(challenge, scopes, await self._credential(scopes))
        try:
            document = load_object(await self._fetch(request), "the token service's answer")
        except RegistryError as error:
            if error.registry is None:
                error.registry = self._endpoint.host
            raise
        value = document.get("token") or document.get("access_token")
        if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
            raise ProtocolError(
                f"{self._endpoint.host}: the token service at {urlsplit(request.url).hostname}"
                " answered without a token",
                registry=self._endpoint.host,
            )
        life = document.get("expires_in")
        good = isinstance(life, int | float) and not isinstance(life, bool) and 0 < life < 1e9
        seconds = float(life) if good and life is not None else _DEFAULT_LIFE
        return _Token(value, begun + max(seconds - _MARGIN, seconds * 0.75))

    def _token_request(
        self, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None
    ) -> TokenRequest:
        endpoint, realm = self._endpoint, challenge.parameters["realm"]
        parts = _split(realm, endpoint.host)
        if parts.scheme != "https" and not endpoint.insecure:
            raise UntrustedRealm(
                f"{endpoint.host} sends to the token service {parts.scheme}://{parts.hostname},"
                " which is not https: not followed (insecure: true would allow it)",
                registry=endpoint.host,
            )
        if credential is not None and not trusted(parts.hostname or "", endpoint):
            raise UntrustedRealm(
                f"{endpoint.host} sends to the token service {parts.hostname}, which belongs to"
                f" another site: the credential from {credential.origin} is not shown to it"
                " (name it in realm_hosts if it is yours)",
                registry=endpoint.host,
            )
        query = [
            ("service", challenge.parameters[k]) for k in ("service",) if k in challenge.parameters
        ]
        query += [("scope", scope) for scope in scopes]
        repository = _repository_of(scopes)
        origin = credential.origin if credential else None
        if credential is not None and credential.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credential.identity_token),
                ("client_id", _CLIENT_ID),
                *((name, value) for name, value in query if name == "service"),
                ("scope", " ".join(scopes)),
            ]
            return TokenRequest(realm, urlencode(form).encode(), None, repository, origin)
        joint = "&" if parts.query else "?"
        url = f"{realm}{joint}{urlencode(query)}" if query else realm
        return TokenRequest(
            url, None, _basic(credential) if credential else None, repository, origin
        )

    async def _credential(self, scopes: tuple[str, ...]) -> Credential | None:
        """The credential for these scopes, asked in a thread: it may read files or run a helper."""
        repository = _repository_of(scopes)
        credential = await asyncio.to_thread(self._endpoint.credential, repository)
        self._credentials[repository] = credential
        return credential


def _split(realm: str, host: str) -> SplitResult:
    try:
        parts = urlsplit(realm)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ProtocolError(f"{host} names a token service that is no address", registry=host)
    return parts


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _repository_of(scopes: tuple[str, ...]) -> str:
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        if kind == "repository":
            return rest.rpartition(":")[0]
    return ""


def _merged(scopes: tuple[str, ...], asked: str) -> tuple[str, ...]:
    """Our scopes and those that a challenge asks for, as one set, actions joined by resource."""
    actions: dict[str, list[str]] = {}
    for scope in (*scopes, *asked.split()[:8]):
        resource, colon, verbs = scope.rpartition(":")
        if not colon or len(scope) > 512:
            continue
        known = actions.setdefault(resource, [])
        known.extend(verb for verb in verbs.split(",") if verb and verb not in known)
    return tuple(f"{resource}:{','.join(verbs)}" for resource, verbs in actions.items())
