"""Requests go to the registry, and elsewhere only where that harms nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mirror.registry import (
    Clock,
    Descriptor,
    Endpoint,
    ForbiddenAddress,
    Registry,
    RegistryError,
    RetryPolicy,
    copy_blob,
)
from mirror.registry.http.host_names import CheckedResolver
from mirror.registry.http.request import Request, RequestContext
from mirror.registry.spec.digest import digest_of
from mirror.registry.upload_session import UploadSession
from tests.registry.scripted import Script, answer

HOST = "registry.example.com"
BASE = f"https://{HOST}"
LAYER = b"a layer"
BLOB = Descriptor("x", digest_of(LAYER), len(LAYER))

# Addresses of this machine and its network, as they may be written.
LOCAL = [
    "http://127.0.0.1:4200/api/work_pools/x",
    "https://127.0.0.1/x",
    "https://127.9.9.9/x",
    "https://localhost:9/x",
    "https://a.localhost/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://0.0.0.0/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/x",
    "https://10.0.0.1/x",
    "https://192.168.1.1/x",
    "https://172.16.0.1/x",
    "https://100.100.100.200/x",
    "https://[fd00::1]/x",
    "https://[2002:7f00:1::]/x",
]


def client(script: Script, *storage: str, host: str = HOST, insecure: bool = False) -> Registry:
    endpoint = Endpoint(host, insecure=insecure, storage_hosts=frozenset(storage))
    return Registry(endpoint, transport=script, retry=RetryPolicy(attempts=1))


@pytest.mark.parametrize("place", LOCAL)
async def test_a_redirect_to_this_machine_or_its_network_is_not_followed(place: str) -> None:
    script = Script()
    script.on("GET .*/manifests/1$", answer(307, "", {"Location": place}))
    async with client(script) as registry:
        with pytest.raises(ForbiddenAddress) as caught:
            await registry.repository("a/b").get_manifest("1")
    assert [request.url.host for request in script.seen] == [HOST]
    assert caught.value.reason == "server_error"
    assert "storage_hosts" in str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        *LOCAL,
        "https://elsewhere.example.net/upload?a=b",
        f"https://{HOST}:8443/upload",
        "//elsewhere.example.net/upload",
    ],
)
@pytest.mark.parametrize("status", [201, 202])
async def test_an_upload_session_elsewhere_gets_no_request(place: str, status: int) -> None:
    script = Script()
    script.on("POST .*/uploads/", answer(status, "", {"Location": place}))
    script.on("", answer(201))
    async with client(script) as registry:
        with pytest.raises(RegistryError):
            session = await UploadSession.start(registry.repository("a/b"), BLOB.digest)
            await session.cancel()
        assert await registry.repository("a/b").mount_blob(BLOB.digest, "c/d") in (True, False)
    assert {request.method for request in script.seen if request.url.host != HOST} == set()
    assert {request.url.netloc.decode() for request in script.seen} == {HOST}


async def test_a_session_that_moves_elsewhere_on_the_way_gets_no_further_request() -> None:
    script = Script()
    script.on("POST .*/uploads/", answer(202, "", {"Location": "/v2/a/b/blobs/uploads/1"}))
    script.on("PATCH", answer(202, "", {"Location": "https://elsewhere.example.net/1"}))
    script.on("GET .*/blobs/", answer(200, LAYER))
    script.on("PUT", answer(405))
    script.on("", answer(404))
    async with client(script) as registry:
        source, target = registry.repository("c/d"), registry.repository("a/b")
        with pytest.raises(RegistryError):
            await copy_blob(source, target, BLOB)
    assert {request.url.host for request in script.seen} == {HOST}


async def test_hosts_that_the_operator_named_take_uploads_but_no_delete() -> None:
    script = Script()
    script.on("POST .*/uploads/", answer(202, "", {"Location": "https://storage.example.net/1"}))
    script.on("(PUT|DELETE) https://storage", answer(201))
    async with client(script, "storage.example.net") as registry:
        session = await UploadSession.start(registry.repository("a/b"), BLOB.digest)
        await session.commit(LAYER)
        await session.cancel()
    assert [request.method for request in script.seen] == ["POST", "PUT"]


async def test_neither_uploads_nor_lists_go_from_https_to_http() -> None:
    script = Script()
    script.on("POST .*/uploads/", answer(202, "", {"Location": "http://storage.example.net/1"}))
    script.on("tags/list", answer(307, "", {"Location": "http://cdn.example.net/1"}))
    async with client(script, "storage.example.net", "cdn.example.net") as registry:
        with pytest.raises(ForbiddenAddress, match="not https"):
            await UploadSession.start(registry.repository("a/b"), BLOB.digest)
        with pytest.raises(ForbiddenAddress, match="not https"):
            await registry.repository("a/b").tags()
    assert {request.url.host for request in script.seen} == {HOST}


async def test_a_blob_whose_digest_proves_it_may_come_by_http() -> None:
    script = Script()
    script.on(f"GET {BASE}/v2/a/b/blobs", answer(307, "", {"Location": "http://cdn.test/1"}))
    script.on("GET http://cdn.test/1", answer(200, LAYER))
    async with client(script) as registry:
        pieces = [piece async for piece in registry.repository("a/b").read_blob(BLOB)]
    assert b"".join(pieces) == LAYER


async def test_a_token_service_on_this_machine_is_not_asked_by_a_registry_elsewhere() -> None:
    realm = 'Bearer realm="https://127.0.0.1:4200/api/token",service="s"'
    script = Script()
    script.on(BASE, answer(401, "", {"WWW-Authenticate": realm}))
    async with client(script) as registry:
        with pytest.raises(ForbiddenAddress):
            await registry.ping()
    assert {request.url.host for request in script.seen} == {HOST}


async def test_a_registry_on_this_machine_may_redirect_there_but_to_none_of_our_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4321/api")
    monkeypatch.setenv("MIRROR_DATABASE_URL", "postgresql://u:p@localhost:6543/mirror")
    for port, allowed in ((9000, True), (4200, False), (5432, False), (4321, False), (6543, False)):
        script = Script()
        place = f"http://127.0.0.1:{port}/x"
        script.on("tags/list", answer(307, "", {"Location": place}))
        script.on(place, answer(200, '{"tags": ["1"]}'))
        async with client(script, host="127.0.0.1:5000", insecure=True) as registry:
            if allowed:
                assert await registry.repository("a/b").tags() == ["1"]
            else:
                with pytest.raises(ForbiddenAddress, match="a service of this program"):
                    await registry.repository("a/b").tags()
                assert {request.url.port for request in script.seen} == {5000}


@asynccontextmanager
async def listening(replies: list[bytes]) -> AsyncIterator[int]:
    """A server on loopback that notes what it is sent and gives the same reply."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"tags":null}')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_name_that_leads_to_this_machine_is_seen_before_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"registry.example.com": "192.0.2.1", "rebinding.example.net": "127.0.0.1"}

    async def resolve(
        self: object, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> list[dict[str, object]]:
        name = {"hostname": host, "host": names[host], "port": port, "family": socket.AF_INET}
        return [{**name, "proto": 0, "flags": 0}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    seen: list[bytes] = []
    async with listening(seen) as port, Registry(Endpoint(HOST), clock=Clock()) as registry:
        request_to = f"http://rebinding.example.net:{port}/x"
        with pytest.raises(ForbiddenAddress, match="a loopback address"):
            await registry.destinations.check("GET", request_to, _request(request_to))
        names["rebinding.example.net"] = "192.0.2.7"
    assert seen == []


async def test_the_addresses_that_were_checked_are_the_ones_that_are_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = iter(["192.0.2.1", "127.0.0.1"])

    async def resolve(*_: object, **__: object) -> list[dict[str, object]]:
        name = {"hostname": "x", "host": next(given), "port": 0, "family": socket.AF_INET}
        return [{**name, "proto": 0, "flags": 0}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    resolver = CheckedResolver()
    assert await resolver.addresses("x") == ("192.0.2.1",)
    assert [(one["host"], one["port"]) for one in await resolver.resolve("x", 80)] == [
        ("192.0.2.1", 80)
    ]


def _request(url: str) -> Request:
    return Request("GET", url, RequestContext(HOST, "reading"), proved=True)
