"""Authentication of the fake registry: Basic, and Bearer with its token server.

The challenge and the token follow "Token Authentication Specification" of distribution; the
OAuth2 POST follows its "OAuth2 Token Authentication" page.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flows.local.sample_registry.replies import RefusalError, Reply, json_reply
from tests.support.fake_registry.behaviour import Auth, Scheme

DEFAULT_LIFETIME = 60  # seconds; where an answer has no expires_in


@dataclass(frozen=True)
class _Token:
    user: str | None
    grants: frozenset[tuple[str, str]]  # (repository, action)
    expires_at: float


class Access:
    """Issues tokens and checks what a request may do."""

    def __init__(self, auth: Auth, clock: Callable[[], float] = time.monotonic) -> None:
        self.auth = auth
        self.clock = clock
        self._tokens: dict[str, _Token] = {}

    def revoke_tokens(self) -> None:
        """Every token issued so far reads as expired from now on."""
        self._tokens.clear()

    def check(self, headers: Mapping[str, str], repository: str, action: str, realm: str) -> None:
        """401 with a challenge unless the caller may do `action` on `repository` ("" = none).

        `realm` is the token server's address.
        """
        if not self.allows(headers, repository, action):
            raise RefusalError(
                401,
                "UNAUTHORIZED",
                "authentication required",
                headers={"WWW-Authenticate": self._challenge(repository, action, realm)},
            )

    def allows(self, headers: Mapping[str, str], repository: str, action: str) -> bool:
        """Whether the request's Authorization grants `action` on `repository`."""
        if self.auth.scheme is Scheme.NONE:
            return True
        given = headers.get("Authorization", "")
        if self.auth.scheme is Scheme.BASIC:
            return self._permits(self._user(given), action)
        token = self._tokens.get(given.removeprefix("Bearer "))
        if token is None or token.expires_at <= self.clock():
            return False
        return not repository or (repository, action) in token.grants

    def user(self, headers: Mapping[str, str]) -> str | None:
        """Whose request it is; None without a login."""
        given = headers.get("Authorization", "")
        token = self._tokens.get(given.removeprefix("Bearer "))
        return token.user if token else self._user(given)

    async def token(
        self, method: str, query: Mapping[str, str], scopes: list[str], headers: Mapping[str, str]
    ) -> Reply:
        """The token server: GET with Basic, or POST with grant_type password or refresh_token.

        `query` is the address's query, or the form of a POST; `scopes` its scope parameters.
        """
        user = self._user(headers.get("Authorization", ""))
        if method == "POST":
            user = self._granted(query)
        if user is None and (headers.get("Authorization") or not self.auth.anonymous_pull):
            raise RefusalError(401, "UNAUTHORIZED", "incorrect username or password")
        grants = frozenset(
            (repository, action)
            for scope in scopes
            for repository, actions in [_scope(scope)]
            for action in actions
            if self._permits(user, action)
        )
        value = secrets.token_urlsafe(24)
        lifetime = self.auth.expires_in or DEFAULT_LIFETIME
        self._tokens[value] = _Token(user, grants, self.clock() + lifetime)
        answer: dict[str, object] = {self.auth.token_key: value}
        if self.auth.expires_in is not None:
            answer["expires_in"] = self.auth.expires_in
        return json_reply(answer)

    def _granted(self, form: Mapping[str, str]) -> str | None:
        if form.get("grant_type") == "refresh_token":
            return self.auth.identity_tokens.get(form.get("refresh_token", ""))
        name = form.get("username", "")
        return name if self.auth.accounts.get(name) == form.get("password", "") else None

    def _permits(self, user: str | None, action: str) -> bool:
        if user is None:
            return self.auth.anonymous_pull and action == "pull"
        return action == "pull" or user not in self.auth.read_only

    def _user(self, authorization: str) -> str | None:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return name if self.auth.accounts.get(name) == password else None

    def _challenge(self, repository: str, action: str, realm: str) -> str:
        if self.auth.scheme is Scheme.BASIC:
            return f'Basic realm="{self.auth.service}"'
        challenge = f'Bearer realm="{realm}",service="{self.auth.service}"'
        if repository:
            actions = "pull" if action == "pull" else f"pull,{action}"
            challenge += f',scope="repository:{repository}:{actions}"'
        return challenge


def _scope(scope: str) -> tuple[str, list[str]]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    if kind != "repository" or not name:
        return "", []
    wanted = actions.split(",")
    return name, ["pull", "push", "delete"] if "*" in wanted else wanted
