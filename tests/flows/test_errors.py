"""Bad input and broken surroundings: one clear line, the right code, no traceback."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from flows.local.sample_registry.images import single
from flows.sync import sync
from mirror.errors import ConfigError
from tests.flows.command import Command, Ended
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.faults import Respond, Rule, disk_full
from tests.support.fake_registry.push import push
from tests.support.fake_registry.quirks import ALIYUN_PERSONAL
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry


def one_line(ended: Ended, code: int, *parts: str) -> None:
    """The process ended with the code and one line on stderr that contains the parts."""
    assert ended.code == code, ended.err
    assert len(ended.error_lines) == 1, ended.err
    for part in parts:
        assert part in ended.err


async def test_an_unknown_mirror_is_reported_with_those_that_exist(
    mirrors: Mirrors, pair: Pair, command: Command
) -> None:
    one_line(await command.run("sync", "other"), 2, "'other'", "there are: m", "mirrors.yaml")


async def test_bad_yaml_is_reported_with_its_line(mirrors: Mirrors, command: Command) -> None:
    mirrors.path.write_text("mirrors:\n  m: {source: [\n")
    one_line(await command.run("sync", "m"), 2, "mirrors.yaml", "line 3", "YAML")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"tagz": {}}, ("mirrors.m.tagz", "allowed: source, target, tags")),
        ({"target": "docker.io/library/app"}, ("mirrors.m", "mirror onto itself")),
        ({"every": "soon"}, ("mirrors.m.every", "30m")),
        ({"source": "UPPER/case"}, ("mirrors.m.source",)),
        ({"tags": {"semver": "not a range"}}, ("mirrors.m.tags.semver", ">=0.1.0")),
    ],
)
async def test_a_wrong_key_or_value_is_reported_by_file_and_key(
    mirrors: Mirrors, command: Command, change: dict[str, object], parts: tuple[str, ...]
) -> None:
    mirror = {"source": "docker.io/library/app", "target": "registry.example/app", **change}
    mirrors.path.write_text(yaml.safe_dump({"mirrors": {"m": mirror}}))
    one_line(await command.run("sync", "m"), 2, "mirrors.yaml", *parts)


async def test_an_unreachable_source(mirrors: Mirrors, command: Command) -> None:
    mirrors.add("m", "127.0.0.1:1/team/app", "127.0.0.1:2/copy/app")
    ended = await command.run("sync", "m", "--json")
    one_line(ended, 1, "127.0.0.1:1/team/app", "(network)")
    (outcome,) = json.loads(ended.out)
    assert outcome["status"] == "failed"
    assert outcome["errors"][0]["reason"] == "network"


async def test_a_wrong_password_is_reported_by_registry_and_never_by_value(
    docker_registry: StartDockerRegistry, mirrors: Mirrors, command: Command
) -> None:
    source, target = docker_registry(), docker_registry(auth=True)
    await push(source.url, "team/app", "1", single("password"))
    mirrors.registries[target.host] = {
        "insecure": True,
        "username_env": "T_USER",
        "password_env": "T_PASSWORD",
    }
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    ended = await command.run("sync", "m", T_USER="someone", T_PASSWORD="wr0ng-and-secret")
    one_line(ended, 1, target.host, "(auth)")
    assert "wr0ng-and-secret" not in ended.err + ended.out


async def test_a_missing_namespace_is_explained(mirrors: Mirrors, command: Command) -> None:
    async with FakeRegistry() as source, FakeRegistry(ALIYUN_PERSONAL) as target:
        await push(source.url, "team/app", "1", single("namespace"))
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/no-such-namespace/app")
        ended = await command.run("sync", "m")
    one_line(ended, 1, "no-such-namespace/app", "(auth)")


async def test_no_space_at_the_target(mirrors: Mirrors, command: Command) -> None:
    full = Rule(r"(PUT|PATCH|POST) /v2/.*/blobs/uploads/", disk_full(), times=None)
    async with FakeRegistry() as source, FakeRegistry(faults=(full,)) as target:
        await push(source.url, "team/app", "1", single("space"))
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        ended = await command.run("sync", "m")
    one_line(ended, 1, target.host, "(storage)")


async def test_postgres_away(mirrors: Mirrors, pair: Pair, command: Command) -> None:
    away = "postgresql://nobody:s3cret@127.0.0.1:1/record"
    ended = await command.run("sync", "m", MIRROR_DATABASE_URL=away)
    one_line(ended, 1, "127.0.0.1")
    assert "s3cret" not in ended.err


async def test_prefects_server_away(mirrors: Mirrors, pair: Pair, command: Command) -> None:
    ended = await command.run("sync", "m", PREFECT_API_URL="http://127.0.0.1:1/api")
    one_line(ended, 1, "Prefect", "http://127.0.0.1:1/api")


async def test_prefects_server_overloaded(mirrors: Mirrors, pair: Pair, command: Command) -> None:
    """As on SQLite with many runs at once: it is healthy, and answers 503 to what it must write."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path.endswith("/health") else 503)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        ended = await command.run(
            "sync",
            "m",
            PREFECT_API_URL=f"http://{host}:{port}/api",
            PREFECT_CLIENT_MAX_RETRIES="0",
        )
    finally:
        await runner.cleanup()
    one_line(ended, 1, "Prefect's server returned 503", "PREFECT_API_DATABASE_CONNECTION_URL")


@pytest.mark.parametrize("server", ["given", "temporary"])
async def test_many_mirrors_that_fail_at_once_do_not_wait_for_prefect(
    mirrors: Mirrors, command: Command, tmp_path: Path, server: str
) -> None:
    """Prefect's client may not even once have to try again: it would wait for up to a minute."""
    names = [f"m{number}" for number in range(9)]
    for name in names:
        mirrors.add(name, f"127.0.0.1:1/team/{name}", f"127.0.0.1:1/copy/{name}")
    environment = {"PREFECT_CLIENT_MAX_RETRIES": "0"}
    if server == "temporary":
        environment |= {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect")}
    ended = await command.run("sync", *names, **environment)
    assert ended.code == 1
    assert [line.split(": ")[1] for line in ended.error_lines] == names, ended.err
    assert ended.err.count("(network)") == len(names)


async def test_a_missing_file_is_named(command: Command, tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    one_line(await command.run("sync", "m", "--config", str(missing)), 2, str(missing))


async def test_a_wrong_command(command: Command) -> None:
    one_line(await command.run("nonsense"), 2, "nonsense")


@pytest.mark.parametrize("names", [("HTTP_PROXY", "HTTPS_PROXY"), ("http_proxy",), ("ALL_PROXY",)])
@pytest.mark.parametrize("server", ["given", "temporary"])
async def test_a_proxy_sees_nothing_of_loopback_and_prefect(
    mirrors: Mirrors, pair: Pair, command: Command, names: tuple[str, ...], server: str
) -> None:
    seen: list[str] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).decode("latin-1"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    await push(pair.source_url, pair.source, "1", single("proxy"))
    proxy = await asyncio.start_server(record, "127.0.0.1", 0)
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]
        environment = {name: f"http://127.0.0.1:{port}" for name in names}
        if server == "temporary":
            environment["PREFECT_API_URL"] = ""
        ended = await command.run("sync", "m", "--json", **environment)
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)[0]["tags"]["copied"] == 1
    assert seen == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("mirrors: {m: {source: a/b, target: r.example/b}}", "no mirror is named 'other'"),
        ("mirrors: {}", "mirrors: no mirror"),
        ("", "empty"),
        ("mirrors: [", "not valid YAML"),
    ],
)
async def test_a_run_that_cannot_heal_is_not_retried(
    mirrors: Mirrors, document: str, said: str
) -> None:
    """As started from Prefect's UI, with the retries of the schedule."""
    mirrors.path.write_text(document)
    state: Any = await asyncio.wait_for(sync(mirror="other", return_state=True), 60)
    assert state.is_failed(), state
    assert said in (state.message or "")
    assert "\n" not in (state.message or "")
    error = await state.aresult(raise_on_failure=False)
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize("status", [401, 404, 405])
async def test_a_refusal_is_not_retried(mirrors: Mirrors, status: int) -> None:
    """Nobody changes a credential or a name within five minutes: the slot is free at once."""
    rule = Rule("GET .*/tags/list", Respond(status), times=None)
    async with FakeRegistry(faults=(rule,)) as source, FakeRegistry() as target:
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        state: Any = await asyncio.wait_for(sync(mirror="m", return_state=True), 60)
    assert state.is_failed(), state
    assert str(status) in (state.message or "")
