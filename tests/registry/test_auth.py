"""Tokens are requested once, renewed in time, and sent to no other host."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import httpx
import pytest

from mirror.registry import (
    Clock,
    Credential,
    Descriptor,
    Endpoint,
    ProtocolError,
    Registry,
    RetryPolicy,
    Unauthorized,
    UntrustedRealm,
)
from mirror.registry.spec.digest import digest_of
from tests.registry.scripted import Script, answer

SECRET = "s3cret-passphrase"
KNOWN = Credential("someone", SECRET, origin="REGISTRY_PASSWORD")
REALM = "https://auth.example.com/token"
TAGS = '{"name":"a/b","tags":["1"]}'


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clockwork(self) -> Clock:
        """As the client takes it; sleeping moves the clock."""

        async def sleep(seconds: float) -> None:
            self.now += seconds
            await asyncio.sleep(0)

        return Clock(sleep=sleep, monotonic=lambda: self.now, random=lambda: 0.5)


def challenged(realm: str, scope: str = "") -> Callable[[httpx.Request], httpx.Response]:
    """Answers the tag list to those with a token, a challenge to others."""

    def make(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization", "").startswith("Bearer good"):
            return answer(200, TAGS)
        extra = f',scope="{scope}"' if scope else ""
        value = f'Bearer realm="{realm}",service="registry.example.com"{extra}'
        return answer(401, "", {"WWW-Authenticate": value})

    return make


def a_registry(
    script: Script,
    credential: Credential | None = KNOWN,
    *,
    host: str = "registry.example.com",
    insecure: bool = False,
    clock: Clock | None = None,
) -> Registry:
    """A client of the scripted registry."""
    endpoint = Endpoint(host, insecure=insecure, credential=lambda repository: credential)
    return Registry(
        endpoint, transport=script, clock=clock or Time().clockwork(), retry=RetryPolicy(attempts=2)
    )


async def test_who_logs_in_early_has_a_token_when_the_first_request_wants_one() -> None:
    script = Script()
    script.on("GET .*/v2/$", challenged(REALM))
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("GET .*/token", answer(200, '{"token":"good","expires_in":300}'))
    async with a_registry(script) as registry:
        repository = registry.repository("a/b")
        await registry.log_in(repository.pull)
        assert registry.requests == 3
        assert await asyncio.gather(*(repository.tags() for _ in range(3))) == [["1"]] * 3
        assert registry.requests == 6, "none is refused"
        await registry.log_in(repository.push)
        await registry.log_in(repository.push)
    assert [each.url.params["scope"] for each in script.asked("/token")] == [
        "repository:a/b:pull",
        "repository:a/b:pull,push",
    ]
    assert registry.requests == 7, "it is known which authorization it wants"


async def test_two_hundred_requests_at_once_ask_for_one_token() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("GET .*/token", answer(200, '{"token":"good","expires_in":300}'))
    async with a_registry(script) as registry:
        repository = registry.repository("a/b")
        lists = await asyncio.gather(*(repository.tags() for _ in range(200)))
    assert lists == [["1"]] * 200
    assert len(script.asked("/token")) == 1
    assert len(script.asked("/tags/list")) == 201, "one found out that a token is wanted"
    assert registry.requests == 202
    token = script.asked("/token")[0]
    assert token.url.params["scope"] == "repository:a/b:pull"
    assert token.url.params["service"] == "registry.example.com"
    pair = base64.b64encode(f"someone:{SECRET}".encode()).decode()
    assert token.headers["authorization"] == f"Basic {pair}"


@pytest.mark.parametrize(
    ("life", "fresh_until", "renewed_at"),
    [
        ("300", 260.0, 271.0),
        ('"300"', 260.0, 271.0),
        ("60", 40.0, 46.0),
        ("null", 40.0, 46.0),
        ('"soon"', 40.0, 46.0),
        ('"-5"', 40.0, 46.0),
        ('"nan"', 40.0, 46.0),
    ],
)
async def test_a_token_is_renewed_before_it_ends(
    life: str, fresh_until: float, renewed_at: float
) -> None:
    script, time = Script(), Time()
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("GET .*/token", answer(200, f'{{"access_token":"good","expires_in":{life}}}'))
    async with a_registry(script, clock=time.clockwork()) as registry:
        begun = time.now
        await registry.repository("a/b").tags()
        time.now = begun + fresh_until
        await registry.repository("a/b").tags()
        assert len(script.asked("/token")) == 1
        time.now = begun + renewed_at
        await registry.repository("a/b").tags()
    assert len(script.asked("/token")) == 2


async def test_a_token_that_is_refused_early_is_renewed_once() -> None:
    script = Script()
    number = 0

    def token(request: httpx.Request) -> httpx.Response:
        nonlocal number
        number += 1
        return answer(200, f'{{"token":"number-{number}"}}')

    def tags(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") == f"Bearer number-{accepted}":
            return answer(200, TAGS)
        return answer(401, "", {"WWW-Authenticate": f'Bearer realm="{REALM}"'})

    script.on("GET .*/token", token)
    script.on("GET .*/tags/list", tags)
    async with a_registry(script) as registry:
        accepted = 1
        await registry.repository("a/b").tags()
        accepted = 2
        await registry.repository("a/b").tags()
        assert number == 2
        accepted = 99
        with pytest.raises(Unauthorized, match=r"credential from REGISTRY_PASSWORD") as caught:
            await registry.repository("a/b").tags()
        assert number == 3, "no more than one fresh token for one request"
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(KNOWN)


async def test_the_scope_that_a_challenge_asks_for_is_added_to_ours() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM, "repository:a/b:metadata_read"))
    script.on("GET .*/token", answer(200, '{"token":"good"}'))
    async with a_registry(script) as registry:
        await registry.repository("a/b").tags()
    assert script.asked("/token")[0].url.params["scope"] == "repository:a/b:pull,metadata_read"


async def test_an_identity_token_is_exchanged_for_a_token() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("POST .*/token", answer(200, '{"access_token":"good"}'))
    known = Credential("<token>", "", origin="config.json", identity_token=SECRET)
    async with a_registry(script, known) as registry:
        await registry.repository("a/b").tags()
    form = script.asked("/token")[0].content.decode()
    assert "grant_type=refresh_token" in form
    assert f"refresh_token={SECRET}" in form
    assert SECRET not in repr(known)


async def test_basic_authentication_is_answered_with_the_credential_or_not_at_all() -> None:
    script = Script()
    script.on(
        "GET .*/tags/list",
        lambda request: (
            answer(200, TAGS)
            if "authorization" in request.headers
            else answer(401, "", {"WWW-Authenticate": 'Basic realm="here"'})
        ),
    )
    async with a_registry(script) as registry:
        assert await registry.repository("a/b").tags() == ["1"]
    async with a_registry(script, None) as registry:
        with pytest.raises(Unauthorized, match="anonymous user"):
            await registry.repository("a/b").tags()


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("registry.example.com", "https://evil.example.net/token"),
        ("registry.example.com.cn", "https://evil.com.cn/token"),
        ("registry.example.com", "https://example.com.evil.net/token"),
        ("192.0.2.7:5000", "https://192.0.2.8/token"),
        ("registry.example.com", "http://registry.example.com/token"),
        ("registry.cn-hangzhou.aliyuncs.com", "https://bucket.oss-cn-hangzhou.evil.com/auth"),
    ],
)
async def test_a_hostile_realm_never_sees_the_credential(host: str, realm: str) -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(realm))
    script.on("/(token|auth)", answer(200, '{"token":"good"}'))
    async with a_registry(script, host=host) as registry:
        with pytest.raises(UntrustedRealm, match="token service"):
            await registry.repository("a/b").tags()
    assert not script.asked("/(token|auth)")


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("docker.io", "https://auth.docker.io/token"),
        ("registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.cn-hangzhou.aliyuncs.com/auth"),
        (
            "crpi-abc1.cn-hangzhou.personal.cr.aliyuncs.com",
            "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
        ),
        (
            "us-registry.cn-hangzhou.cr.aliyuncs.com",
            "https://dockerauth-ee.cn-hangzhou.aliyuncs.com/auth",
        ),
        ("hagicode.azurecr.io", "https://hagicode.azurecr.io/oauth2/token"),
        ("ghcr.io", "https://ghcr.io/token"),
        ("registry.example.com", "https://example.com/jwt/auth"),
    ],
)
async def test_the_token_services_of_known_registries_see_it(host: str, realm: str) -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(realm))
    script.on("/(token|auth)", answer(200, '{"token":"good"}'))
    async with a_registry(script, host=host) as registry:
        assert await registry.repository("a/b").tags() == ["1"]
    assert "authorization" in script.asked("/(token|auth)")[0].headers


async def test_the_anonymous_user_may_ask_any_https_realm() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged("https://elsewhere.example.net/token"))
    script.on("/token", answer(200, '{"token":"good"}'))
    async with a_registry(script, None) as registry:
        assert await registry.repository("a/b").tags() == ["1"]
    assert "authorization" not in script.asked("/token")[0].headers


async def test_a_realm_over_http_is_followed_for_an_insecure_registry_only() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged("http://registry.example.com:5001/token"))
    script.on("/token", answer(200, '{"token":"good"}'))
    async with a_registry(script, host="registry.example.com:5000", insecure=True) as registry:
        assert await registry.repository("a/b").tags() == ["1"]


async def test_a_redirect_to_another_host_carries_no_authorization() -> None:
    script = Script()
    script.on("GET https://cdn.example.net/", answer(200, "data"))
    script.on(
        "GET .*/blobs/",
        lambda request: (
            answer(307, "", {"Location": "https://cdn.example.net/x?sig=1"})
            if request.headers.get("authorization") == "Bearer good"
            else answer(401, "", {"WWW-Authenticate": f'Bearer realm="{REALM}"'})
        ),
    )
    script.on("/token", answer(200, '{"token":"good"}'))
    async with a_registry(script) as registry:
        blob = Descriptor("x", digest_of(b"data"), 4)
        read = [piece async for piece in registry.repository("a/b").read_blob(blob)]
    assert b"".join(read) == b"data"
    (cdn,) = script.asked("cdn.example.net")
    assert "authorization" not in cdn.headers
    assert "cookie" not in cdn.headers


@pytest.mark.parametrize(
    "body",
    ["", "[]", "\x00\xff", "{}", '{"token":""}', '{"token":1}', '{"token":"a b\\r\\nX: y"}'],
)
async def test_a_token_service_that_returns_no_token_is_an_error(body: str) -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("/token", answer(200, body))
    async with a_registry(script) as registry:
        with pytest.raises(ProtocolError, match="token") as caught:
            await registry.repository("a/b").tags()
    assert type(caught.value) is ProtocolError
    assert caught.value.registry == registry.host


async def test_a_token_service_that_refuses_the_credential_names_where_it_came_from() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM))
    script.on("/token", answer(401, '{"details":"incorrect username or password"}'))
    async with a_registry(script) as registry:
        with pytest.raises(Unauthorized, match="REGISTRY_PASSWORD") as caught:
            await registry.repository("a/b").tags()
    assert "incorrect username or password" in str(caught.value)
    assert len(script.asked("/token")) == 1, "a wrong password is not tried twice"


BEARER = f'Bearer realm="{REALM}",service="registry.example.com"'


@pytest.mark.parametrize(
    "fields",
    [
        [f'{BEARER}, Basic realm="x"'],
        [f'Basic realm="x", {BEARER}'],
        [f"Negotiate, {BEARER}"],
        [f"Negotiate dG9rZW4=, {BEARER}"],
        [f'Digest realm="x", qop="auth, auth-int", nonce="n", {BEARER}'],
        ["Negotiate", 'Basic realm="x"', BEARER],
        [BEARER, 'Basic realm="x"'],
    ],
)
async def test_bearer_is_answered_wherever_it_stands_among_challenges(fields: list[str]) -> None:
    def tags(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") == "Bearer good":
            return answer(200, TAGS)
        return httpx.Response(401, headers=[("WWW-Authenticate", field) for field in fields])

    script = Script()
    script.on("GET .*/tags/list", tags)
    script.on("GET .*/token", answer(200, '{"access_token":"good"}'))
    async with a_registry(script) as registry:
        assert await registry.repository("a/b").tags() == ["1"]
    assert len(script.asked("/token")) == 1


async def test_a_token_without_the_asked_access_is_one_error_of_host_and_repository() -> None:
    script = Script()
    script.on("GET .*/tags/list", challenged(REALM, "repository:a/b:pull"))
    script.on("GET .*/token", answer(200, '{"token":"without-access"}'))
    async with a_registry(script) as registry:
        with pytest.raises(Unauthorized) as caught:
            await registry.repository("a/b").tags()
    assert "registry.example.com" in str(caught.value)
    assert "a/b" in str(caught.value)
    assert len(script.asked("/token")) <= 2
