"""Every scripted fault does what it says, as often as it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from flows.local.sample_registry.content import digest_of
from flows.local.sample_registry.interceptor import Crawl, Interceptor
from tests.support.fake_registry.faults import (
    Corrupt,
    Delay,
    Drop,
    ExpireTokens,
    Faults,
    Hang,
    Headers,
    Respond,
    Rule,
    Side,
    Truncate,
    abuse_limit,
    disk_full,
    insufficient_storage,
)
from tests.support.fake_registry.push import plain_client
from tests.support.fake_registry.quirks import HARBOR
from tests.support.fake_registry.registry import FakeRegistry

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A plain client."""
    async with plain_client() as plain:
        yield plain


@pytest.fixture
def blob(fake_registry: FakeRegistry) -> str:
    """The address of a blob of 1 MiB."""
    digest = fake_registry.store.add_blob("app", CONTENT)
    return f"{fake_registry.url}/v2/app/blobs/{digest}"


def break_blobs(
    registry: FakeRegistry, fault: Interceptor, *, times: int | None = 1, skip: int = 0
) -> None:
    """The fault at every blob."""
    registry.faults.add(Rule("/v2/app/blobs/", fault, times=times, skip=skip))


async def _received(client: httpx.AsyncClient, url: str) -> bytes:
    received = bytearray()
    async with client.stream("GET", url) as answer:
        try:
            async for chunk in answer.aiter_raw():
                received += chunk
        except httpx.TransportError:
            return bytes(received)
    raise AssertionError("the connection held")


@pytest.mark.parametrize("times", [1, 2, None])
async def test_a_rule_acts_as_often_as_it_says(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str, times: int | None
) -> None:
    break_blobs(fake_registry, Respond(503, headers={"Retry-After": "1"}), times=times, skip=1)
    statuses = [(await client.head(blob)).status_code for _ in range(5)]
    hit = 4 if times is None else times
    assert statuses == [200, *[503] * hit, *[200] * (4 - hit)]
    assert fake_registry.faults.acted() == hit


async def test_a_rule_only_meets_what_its_pattern_matches() -> None:
    faults = Faults((Rule("^PUT .*/manifests/1$", Delay(0)), Rule("^PUT ", Delay(1))))
    assert faults.find("GET /v2/app/manifests/1") is None
    assert faults.find("PUT /v2/app/manifests/1") == Delay(0)
    assert faults.find("PUT /v2/app/manifests/1") == Delay(1)
    faults.clear()
    assert faults.find("PUT /v2/app/manifests/1") is None


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (disk_full(), 500, "no space left on device"),
        (insufficient_storage(), 507, "insufficient storage"),
    ],
)
async def test_answers_are_scripted(
    fake_registry: FakeRegistry,
    client: httpx.AsyncClient,
    blob: str,
    fault: Respond,
    status: int,
    message: str,
) -> None:
    break_blobs(fake_registry, fault)
    answer = await client.get(blob)
    assert answer.status_code == status
    assert message in answer.json()["errors"][0]["message"]
    assert (await client.get(blob)).content == CONTENT


async def test_a_raw_body_need_not_be_json(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str
) -> None:
    break_blobs(fake_registry, Respond(502, body=b"<html>bad gateway</html>"))
    break_blobs(fake_registry, abuse_limit())
    assert (await client.get(blob)).text == "<html>bad gateway</html>"
    limited = await client.get(blob)
    assert (limited.status_code, limited.text) == (429, "Too Many Requests\n")


async def test_tokens_expire_in_the_middle(client: httpx.AsyncClient) -> None:
    async with FakeRegistry(HARBOR) as registry:
        registry.faults.add(Rule("^GET /v2/.*/tags/", ExpireTokens(registry.access), skip=1))
        scope = {"scope": "repository:hagicode/app:pull"}

        async def bearer() -> dict[str, str]:
            token = (await client.get(f"{registry.url}/service/token", params=scope)).json()
            return {"Authorization": f"Bearer {token['token']}"}

        url, headers = f"{registry.url}/v2/hagicode/app/tags/list", await bearer()
        assert (await client.get(url, headers=headers)).status_code == 404
        expired = await client.get(url, headers=headers)
        assert expired.status_code == 401
        assert expired.headers["WWW-Authenticate"].startswith("Bearer realm=")
        assert (await client.get(url, headers=await bearer())).status_code == 404


@pytest.mark.parametrize("reset", [False, True])
async def test_a_download_breaks_off(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str, reset: bool
) -> None:
    break_blobs(fake_registry, Drop(after=300_000, reset=reset))
    received = await _received(client, blob)
    assert received == CONTENT[: len(received)]
    assert len(received) <= 300_000
    if not reset:
        assert len(received) == 300_000
    assert fake_registry.exchanges[-1].sent == 300_000


async def test_an_upload_breaks_off_and_goes_on_where_the_registry_says(
    fake_registry: FakeRegistry, client: httpx.AsyncClient
) -> None:
    fake_registry.faults.add(Rule("^PATCH ", Drop(after=300_000, side=Side.REQUEST)))
    opened = await client.post(f"{fake_registry.url}/v2/app/blobs/uploads/")
    location = opened.url.join(opened.headers["Location"])
    binary = {"Content-Type": "application/octet-stream"}
    with pytest.raises(httpx.TransportError):
        await client.patch(location, content=CONTENT, headers=binary)
    status = await client.get(location)
    assert (status.status_code, status.headers["Range"]) == (204, "0-299999")
    rest = await client.patch(
        status.url.join(status.headers["Location"]),
        content=CONTENT[300_000:],
        headers={**binary, "Content-Range": f"300000-{len(CONTENT) - 1}"},
    )
    assert rest.headers["Range"] == f"0-{len(CONTENT) - 1}"


async def test_bytes_are_wrong(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str
) -> None:
    break_blobs(fake_registry, Corrupt(offset=500_000))
    got = (await client.get(blob)).content
    assert [place for place in range(len(CONTENT)) if got[place] != CONTENT[place]] == [500_000]


async def test_a_body_is_cut_short_without_a_trace(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str
) -> None:
    break_blobs(fake_registry, Truncate(keep=10))
    assert (await client.get(blob)).content == CONTENT[:10]


async def test_headers_lie(
    fake_registry: FakeRegistry, client: httpx.AsyncClient, blob: str
) -> None:
    lie = "sha256:" + "0" * 64
    break_blobs(
        fake_registry, Headers({"Docker-Content-Digest": lie}, frozenset({"Accept-Ranges"}))
    )
    headers = (await client.head(blob)).headers
    assert headers["Docker-Content-Digest"] == lie
    assert "Accept-Ranges" not in headers


@pytest.mark.parametrize(
    ("fault", "at_least"),
    [
        (Delay(0.2), 0.2),
        (Hang(0.2, after=500_000), 0.2),
        (Crawl(rate=4 * len(CONTENT)), 0.25),
    ],
)
async def test_answers_take_their_time(
    fake_registry: FakeRegistry,
    client: httpx.AsyncClient,
    blob: str,
    fault: Interceptor,
    at_least: float,
) -> None:
    break_blobs(fake_registry, fault)
    began = time.monotonic()
    assert (await client.get(blob)).content == CONTENT
    assert time.monotonic() - began >= at_least


async def test_an_upload_hangs(fake_registry: FakeRegistry, client: httpx.AsyncClient) -> None:
    fake_registry.faults.add(Rule("^PUT ", Hang(5, side=Side.REQUEST)))
    opened = await client.post(f"{fake_registry.url}/v2/app/blobs/uploads/")
    location = opened.url.join(opened.headers["Location"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.put(location.copy_merge_params({"digest": digest_of(b"x")}), content=b"x")
