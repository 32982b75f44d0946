"""Tokens, challenges and accounts of the demo registry."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from flows.local.sample_registry.images import single
from tests.support.fake_registry.behaviour import Auth, Behaviour, Scheme
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.quirks import (
    ALIYUN_PERSONAL,
    AZURE,
    DOCKER_HUB,
    HARBOR,
    PASSWORD,
    USERNAME,
)
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD as REAL_PASSWORD

LOGIN = (USERNAME, PASSWORD)
CHALLENGE = re.compile(r'Bearer realm="(.*?)",service="(.*?)",scope="(.*?)"')


async def _token(
    client: httpx.AsyncClient, answer: httpx.Response, login: tuple[str, str] | None
) -> httpx.Response:
    found = CHALLENGE.fullmatch(answer.headers["WWW-Authenticate"])
    assert found
    realm, service, scope = found.groups()
    query = {"service": service, "scope": scope}
    return await client.get(realm, params=query, auth=login or httpx.USE_CLIENT_DEFAULT)


async def test_a_challenge_leads_to_a_token_that_opens_the_repository() -> None:
    async with FakeRegistry(HARBOR) as registry, plain_client() as client:
        url = f"{registry.url}/v2/hagicode/app/blobs/uploads/"
        refused = await client.post(url)
        assert refused.status_code == 401
        assert refused.json()["errors"][0]["code"] == "UNAUTHORIZED"
        token = (await _token(client, refused, LOGIN)).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await client.post(url, headers=bearer)).status_code == 202
        other = url.replace("app", "other")
        assert (await client.post(other, headers=bearer)).status_code == 401


async def test_an_anonymous_token_pulls_and_does_not_push() -> None:
    async with FakeRegistry(HARBOR) as registry, plain_client() as client:
        url = f"{registry.url}/v2/hagicode/app"
        refused = await client.post(f"{url}/blobs/uploads/")
        token = (await _token(client, refused, None)).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await client.post(f"{url}/blobs/uploads/", headers=bearer)).status_code == 401
        assert (await client.get(f"{url}/tags/list", headers=bearer)).status_code == 404


async def test_a_wrong_password_gets_no_token() -> None:
    async with FakeRegistry(HARBOR) as registry, plain_client() as client:
        refused = await client.get(f"{registry.url}/v2/hagicode/app/tags/list")
        assert (await _token(client, refused, (USERNAME, "wrong"))).status_code == 401


async def test_azure_answers_access_token_and_knows_no_anonymous_pull() -> None:
    async with FakeRegistry(AZURE) as registry, plain_client() as client:
        refused = await client.get(f"{registry.url}/v2/hagicode/tags/list")
        assert f'realm="{registry.url}/oauth2/token"' in refused.headers["WWW-Authenticate"]
        assert (await _token(client, refused, None)).status_code == 401
        assert list((await _token(client, refused, LOGIN)).json()) == ["access_token", "expires_in"]


@pytest.mark.parametrize("behaviour", [ALIYUN_PERSONAL, DOCKER_HUB], ids=lambda item: item.name)
async def test_the_token_server_may_be_another_host(behaviour: Behaviour) -> None:
    async with FakeRegistry(behaviour) as registry, plain_client() as client:
        refused = await client.get(f"{registry.url}/v2/hagicode/app/tags/list")
        token = await _token(client, refused, LOGIN)
        assert token.status_code == 200
        assert token.url.host != httpx.URL(registry.url).host
        assert [exchange.server for exchange in registry.exchanges] == ["registry", "auth"]


async def test_a_token_expires_and_one_without_expires_in_after_a_minute() -> None:
    auth = Auth(scheme=Scheme.BEARER, anonymous_pull=True, expires_in=None)
    async with FakeRegistry(Behaviour(auth=auth)) as registry, plain_client() as client:
        now = [1000.0]
        registry.access.clock = lambda: now[0]
        url = f"{registry.url}/v2/app/tags/list"
        answer = await _token(client, await client.get(url), None)
        assert "expires_in" not in answer.json()
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        now[0] += 59
        assert (await client.get(url, headers=bearer)).status_code == 404
        now[0] += 1
        assert (await client.get(url, headers=bearer)).status_code == 401


async def test_an_identity_token_is_exchanged_by_post() -> None:
    auth = replace(AZURE.auth, identity_tokens={"refresh": USERNAME})
    async with FakeRegistry(replace(AZURE, auth=auth)) as registry, plain_client() as client:
        form = {
            "grant_type": "refresh_token",
            "service": "azure",
            "refresh_token": "refresh",
            "scope": "repository:hagicode:pull,push",
        }
        answer = await client.post(f"{registry.url}/oauth2/token", data=form)
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        opened = await client.post(f"{registry.url}/v2/hagicode/blobs/uploads/", headers=bearer)
        assert opened.status_code == 202
        form["refresh_token"] = "other"
        assert (await client.post(f"{registry.url}/oauth2/token", data=form)).status_code == 401


async def test_a_read_only_account_may_not_push() -> None:
    auth = Auth(scheme=Scheme.BASIC, accounts={"reader": "x"}, read_only=frozenset({"reader"}))
    async with (
        FakeRegistry(Behaviour(auth=auth)) as registry,
        plain_client(auth=("reader", "x")) as client,
    ):
        url = f"{registry.url}/v2/app"
        assert (await client.get(f"{url}/tags/list")).status_code == 404
        assert (await client.post(f"{url}/blobs/uploads/")).status_code == 401


async def test_basic_is_asked_for_alike_by_docker_registry_and_ours(
    docker_registry: StartDockerRegistry,
) -> None:
    real = docker_registry(auth=True)
    auth = Auth(scheme=Scheme.BASIC, accounts={USERNAME: REAL_PASSWORD})
    async with FakeRegistry(Behaviour(auth=auth)) as ours:
        for url in (real.url, ours.url):
            async with plain_client() as client:
                refused = await client.get(f"{url}/v2/")
                assert refused.status_code == 401
                assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
                wrong = await client.get(f"{url}/v2/", auth=(USERNAME, "wrong"))
                assert wrong.status_code == 401
            await push(url, "app", "1", single("app"), auth=real.auth)


async def test_docker_registry_speaks_tls_with_its_own_authority(
    docker_registry: StartDockerRegistry,
) -> None:
    real = docker_registry(tls=True)
    image = single("tls")
    assert await push(real.url, "app", "1", image, ca_file=real.ca_file) == image.digest
    async with plain_client() as client:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.get(f"{real.url}/v2/")
