"""How a registry is reached: proxies, redirects, private authorities, addresses that are bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from mirror.registry import ConnectionFailed, Endpoint, Registry, RetryPolicy, copy_blob
from tests.registry.conftest import content, endpoint_of, put_image
from tests.registry.test_kinds_of_registries import client_of
from tests.support.fake_registry import quirks
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.signatures import fallback_index, fallback_tag
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import DockerRegistry, free_port


class Proxy:
    """A forward proxy: what it was asked for, and by whom."""

    def __init__(self) -> None:
        self.host = ""
        self.lines: list[str] = []
        self.authorizations: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request head, pass it on, and then all bytes both ways."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.split("\r\n")
        method, target, _ = line.split()
        self.lines.append(f"{method} {target}")
        for field in fields:
            if field.lower().startswith("proxy-authorization:"):
                self.authorizations.add(field.split(":", 1)[1].strip())
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            url = httpx.URL(target)
            far_reader, far_writer = await asyncio.open_connection(url.host, url.port or 80)
            far_writer.write(head.replace(target, url.raw_path.decode(), 1).encode())
        await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(proxy.serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    proxy.host = "{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_a_registry_over_http_is_reached_by_the_environment_s_proxy(
    shared_docker_registry: DockerRegistry, no_proxies: pytest.MonkeyPatch
) -> None:
    async with forward_proxy() as proxy:
        no_proxies.setenv("http_proxy", f"http://{proxy.host}")
        async with Registry(endpoint_of(shared_docker_registry)) as registry:
            await registry.ping()
    assert proxy.lines == [f"GET {shared_docker_registry.url}/v2/"]


async def test_a_registry_over_https_is_reached_by_a_proxy_that_wants_a_password(
    docker_registry: StartDockerRegistry, no_proxies: pytest.MonkeyPatch
) -> None:
    process = docker_registry(tls=True)
    async with forward_proxy() as proxy:
        no_proxies.setenv("HTTPS_PROXY", f"http://me:p%40ss@{proxy.host}")
        async with Registry(endpoint_of(process)) as registry:
            await registry.ping()
    assert proxy.lines == [f"CONNECT {process.host}"]
    assert proxy.authorizations == {"Basic bWU6cEBzcw=="}


async def test_no_proxy_is_heeded(
    shared_docker_registry: DockerRegistry, no_proxies: pytest.MonkeyPatch
) -> None:
    no_proxies.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    no_proxies.setenv("no_proxy", "127.0.0.1")
    async with Registry(endpoint_of(shared_docker_registry)) as registry:
        await registry.ping()


async def test_an_unknown_authority_is_an_error_that_is_not_tried_again(
    docker_registry: StartDockerRegistry,
) -> None:
    process = docker_registry(tls=True)
    async with Registry(Endpoint(process.host)) as registry:
        with pytest.raises(ConnectionFailed, match="certificate") as caught:
            await registry.ping()
        assert registry.requests == 1
    assert not caught.value.transient


async def test_a_registry_that_does_not_listen_is_named_in_one_line() -> None:
    host = f"127.0.0.1:{free_port()}"
    async with Registry(Endpoint(host, insecure=True), retry=RetryPolicy(attempts=1)) as registry:
        with pytest.raises(ConnectionFailed) as caught:
            await registry.repository("a/b").tags()
    assert str(caught.value) == (
        f"{host}/a/b: the connection failed while listing the tags"
        " (cannot connect to 127.0.0.1: Connection refused)"
    )


async def test_plain_http_is_never_tried_where_it_is_not_configured(
    shared_docker_registry: DockerRegistry,
) -> None:
    endpoint = Endpoint(shared_docker_registry.host)
    async with Registry(endpoint, retry=RetryPolicy(attempts=1)) as registry:
        with pytest.raises(ConnectionFailed):
            await registry.ping()


async def test_blobs_that_a_cdn_serves_arrive_and_the_cdn_sees_no_token() -> None:
    async with (
        FakeRegistry(quirks.DOCKER_HUB) as hub,
        FakeRegistry() as demo,
        client_of(hub) as source,
        client_of(demo) as target,
    ):
        data, blob = content(9 << 20)
        hub.store.add_blob("library/x", data)
        await copy_blob(source.repository("library/x"), target.repository("a/b"), blob)
        held = demo.store.blob("a/b", blob.digest)
        assert held is not None
        assert held.read() == data
        at_cdn = [one for one in hub.exchanges if one.server == "cdn"]
        assert at_cdn
        assert not any("authorization" in {k.lower() for k in one.headers} for one in at_cdn)


async def test_what_refers_to_an_image_is_found_by_either_way(
    shared_docker_registry: DockerRegistry, fresh_name: Callable[[], str]
) -> None:
    image = with_referrers("ways")
    async with FakeRegistry() as demo, client_of(demo) as registry:
        await push(demo.url, "a/b", "1", image)
        found = await registry.repository("a/b").referrers(image.digest)
        assert {one.digest for one in found} == {one.digest for one in image.referrers}
        assert registry.capabilities.referrers
        kind = found[0].artifact_type
        chosen = await registry.repository("a/b").referrers(image.digest, kind)
        assert {one.artifact_type for one in chosen} == {kind}
    name = fresh_name()
    await push(shared_docker_registry.url, name, "1", image)
    await push(
        shared_docker_registry.url, name, fallback_tag(image), fallback_index(image.referrers)
    )
    async with Registry(endpoint_of(shared_docker_registry)) as registry:
        found = await registry.repository(name).referrers(image.digest)
        assert {one.digest for one in found} == {one.digest for one in image.referrers}


async def test_an_image_s_manifest_survives_a_registry_without_digests_in_its_answers() -> None:
    async with FakeRegistry(quirks.NO_DIGEST_ON_HEAD) as demo, client_of(demo) as registry:
        repository = registry.repository("a/b")
        image = await put_image(repository, "1", b"layer")
        head = await repository.head_manifest("1")
        assert head is not None
        assert (head.digest, head.size) == (image.digest, len(image.raw))
