"""Secrets are planted in every source of credentials, and everything fails: none is found anywhere.

A hostile server quotes whatever it gets, in every form, with every status; logs are at DEBUG, one
run is killed and two crash. Then output, logs, artifacts, both databases, the site, the alerts and
the processes are searched (tests/support/planted).
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

from flows.local.sample_registry.images import single
from mirror.history.database.embedded import Cluster
from tests.flows.command import Command, Ended, kill
from tests.flows.conftest import Mirrors
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.planted.echo import FORMS, Echo, echoing
from tests.support.planted.places import (
    of_folder,
    of_postgres,
    of_sqlite,
    watched_processes,
)
from tests.support.planted.secrets import SECRETS, USER, Search, pairs

# How the echo answers for a repository, and which credential the mirror has for it.
FAILING = (
    *(("s401", "environment"), ("s403", "docker"), ("s404", "helper"), ("s429", "block")),
    *(("s500", "environment"), ("loc", "docker"), ("realm", "helper"), ("link", "environment")),
    *(("broken", "block"), ("bearer403", "docker"), ("bearer403", "identity")),
    *(("bearer500", "environment"), ("bearer401", "identity")),
)
SENT = {"environment", "docker", "identity", "helper", "block", "proxy", "bearer"}
SENT |= {"dingtalk", "feishu", "wecom"}
REFUSED_PUSHES = (("s401", "helper"), ("s500", "block"), ("loc", "environment"))
PROXIED = ("plain.planted.test", "tls.planted.test")
DEBUG = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "DEBUG",
    "PREFECT_SERVER_LOGGING_LEVEL": "DEBUG",
    "MIRROR_LOG_LEVEL": "debug",
}
HELPER = """#!{python}
import json, sys
print(json.dumps({{"Username": {user!r}, "Secret": {secret!r}}}))
"""
CRASH = """
import os, sys
from mirror.registry import Registry
def broken(self, name):
    said = f"defect: {os.environ['P_ENVIRONMENT']} {os.environ['HTTP_PROXY']}"
    try:
        raise KeyError(said)
    except KeyError as error:
        raise RuntimeError(f"{name} {os.environ['MIRROR_DATABASE_URL']}") from error
Registry.repository = broken
from flows.cli.app import main
main(sys.argv[1:])
"""


@dataclass
class Planted:
    """Everything is in place: mirrors.yaml, docker's files, and the environment of commands."""

    echo: Echo
    command: Command
    names: list[str]
    said: list[tuple[str, str]]

    async def run(self, *arguments: str, **environment: str) -> Ended:
        """Run `mirror`, and keep what it said."""
        ended = await self.command.run(*arguments, **environment)
        self.said += [(" ".join(arguments), ended.out), (" ".join(arguments), ended.err)]
        return ended

    async def program(self, *arguments: str, **environment: str) -> int:
        """Run another program of Python's in the same surroundings."""
        process = self.command.start_program(sys.executable, *arguments, **environment)
        try:
            out, err = await asyncio.to_thread(process.communicate, timeout=120)
        finally:
            if process.poll() is None:
                kill(process)
        self.said += [(str(arguments), out), (str(arguments), err)]
        return process.returncode


@pytest.fixture
async def planted(
    tmp_path: Path, mirrors: Mirrors, url: str, fake_registry: FakeRegistry
) -> AsyncIterator[Planted]:
    secret: Any = Secret(value=SECRETS["block"])
    await secret.save("planted", overwrite=True)
    await push(fake_registry.url, "team/app", "1.0", single("planted"))
    async with echoing() as echo:
        names = _write_mirrors(mirrors, echo, fake_registry)
        mirrors.more = {
            "hooks": {"secret_env": "P_HOOK"},
            "alerts": [
                {
                    "dingtalk": {
                        "url": f"http://{echo.host}",
                        "token_env": "P_DINGTALK",
                        "secret_env": "P_SIGNING",
                    }
                },
                {"feishu": {"url": f"http://{echo.host}", "token_env": "P_FEISHU"}},
                {"wecom": {"url": f"http://{echo.host}", "key_env": "P_WECOM"}},
                {"apprise": {"url_env": "P_APPRISE"}},
            ],
        }
        mirrors.write()
        _write_docker(tmp_path, echo)
        login = f"{quote(USER, safe='')}:{quote(SECRETS['proxy'], safe='')}"
        apprise = quote(SECRETS["apprise"], safe="")
        environment = {
            **{f"P_{name.upper()}": value for name, value in SECRETS.items() if name in _BY_NAME},
            "P_APPRISE": f"json://robot:{apprise}@{echo.host}/hook",
            "DOCKER_CONFIG": str(tmp_path / "docker"),
            "PATH": f"{tmp_path / 'docker'}:/usr/bin:/bin",
            "HTTP_PROXY": f"http://{login}@{echo.host}",
            "HTTPS_PROXY": f"http://{login}@{echo.host}",
            "MIRROR_DATABASE_URL": _with_password(url),
            "MIRROR_DATA_DIR": str(tmp_path / "data"),
        }
        yield Planted(echo, Command(tmp_path, environment), names, [])


_BY_NAME = ("environment", "dingtalk", "signing", "feishu", "wecom", "hook")


def _write_mirrors(mirrors: Mirrors, echo: Echo, source: FakeRegistry) -> list[str]:
    names = []
    logins = {
        "environment": {"username": USER, "password_env": "P_ENVIRONMENT"},
        "block": {"username": USER, "password_secret": "planted"},
    }
    for side, list_ in (("s", FAILING), ("t", REFUSED_PUSHES)):
        for kind, login in list_:
            name, place = f"{side}-{kind}-{login}", f"{echo.host}/{kind}/{login}"
            if side == "s":
                mirrors.add(name, place, f"{source.host}/copied/{name}")
            else:
                place = f"{place}-t"
                mirrors.add(name, f"{source.host}/team/app", place)
            if login in logins:
                mirrors.registries[place] = {"insecure": True, **logins[login]}
            names.append(name)
    for host in PROXIED:
        mirrors.add(host.partition(".")[0], f"{host}/team/app", f"{source.host}/copied/{host}")
        names.append(host.partition(".")[0])
    mirrors.registries[PROXIED[1]] = {}
    place = f"{echo.host}/hang/environment"
    mirrors.add("hang", place, f"{source.host}/team/hang")
    mirrors.registries[place] = {"insecure": True, **logins["environment"]}
    return names


def _write_docker(folder: Path, echo: Echo) -> None:
    docker = folder / "docker"
    docker.mkdir()
    pair = base64.b64encode(f"{USER}:{SECRETS['docker']}".encode()).decode()
    auths: dict[str, dict[str, str]] = {}
    helpers = {}
    for side, list_ in (("", FAILING), ("-t", REFUSED_PUSHES)):
        for kind, login in list_:
            place = f"{echo.host}/{kind}/{login}{side}"
            if login == "docker":
                auths[place] = {"auth": pair}
            elif login == "identity":
                auths[place] = {"username": USER, "identitytoken": SECRETS["identity"]}
            elif login == "helper":
                helpers[place] = "planted"
    (docker / "config.json").write_text(json.dumps({"auths": auths, "credHelpers": helpers}))
    helper = docker / "docker-credential-planted"
    helper.write_text(HELPER.format(python=sys.executable, user=USER, secret=SECRETS["helper"]))
    helper.chmod(0o755)


def _with_password(url: str) -> str:
    return url.replace("postgres@", f"postgres:{quote(SECRETS['record'], safe='')}@", 1)


async def _drive(planted: Planted, folder: Path) -> None:
    """Every command, everything failing; three at a time."""
    away = quote(SECRETS["record"], safe="")
    prefect = f"postgresql+asyncpg://prefect:{quote(SECRETS['prefect'], safe='')}@127.0.0.1:1/p"
    some = planted.names[:3]
    as_json = {"MIRROR_LOG": "json", **DEBUG}
    synced, _ = await asyncio.gather(
        planted.run("sync", *planted.names, "--json", **as_json), _killed(planted)
    )
    assert synced.code == 1, synced.err[-2000:]
    outcomes = json.loads(synced.out)
    assert [outcome["status"] for outcome in outcomes] == ["failed"] * len(planted.names)
    slots = asyncio.Semaphore(3)

    async def one(work: Any) -> Any:
        async with slots:
            return await work

    gate = {"PREFECT_SERVER_API_AUTH_STRING": "mirror:nothing-that-is-planted"}
    await asyncio.gather(
        *map(
            one,
            (
                planted.run("sync", *some, **DEBUG),
                planted.program("-c", CRASH, "sync", *some, **DEBUG),
                planted.program("-c", CRASH, "doctor", **DEBUG),
                planted.run("doctor", **DEBUG),
                planted.run("audit", *some, **DEBUG),
                planted.run("probe", *some, **as_json),
                planted.run("watch", "--once", **as_json),
                *(
                    planted.run("notify", "test", channel, **DEBUG)
                    for channel in ("dingtalk", "feishu", "wecom", "apprise")
                ),
                planted.run(
                    "backup",
                    str(folder / "backup.tar"),
                    PREFECT_API_DATABASE_CONNECTION_URL=prefect,
                ),
                planted.run(
                    "sync", *some, MIRROR_DATABASE_URL=f"postgresql://mirror:{away}@127.0.0.1:1/m"
                ),
                planted.run(
                    "sync", *some, MIRROR_DATABASE_URL=f"postgres:/mirror:{away}@127.0.0.1:1/m"
                ),
                planted.run(
                    "sync", *some, HTTPS_PROXY=f"socks5://u:{quote(SECRETS['proxy'])}@127.0.0.1:1"
                ),
                planted.program(
                    "-m",
                    "flows.local.prefect_server",
                    "--port",
                    "0",
                    PREFECT_API_DATABASE_CONNECTION_URL=prefect,
                    **gate,
                    **DEBUG,
                ),
            ),
        )
    )
    for arguments in (("status", "--json"), ("report", "--json"), ("config", "show")):
        await planted.run(*arguments)
    published = await planted.run("publish", str(folder / "site"))
    assert published.code == 0, published.err


async def _killed(planted: Planted) -> None:
    """A sync that is killed while it waits for the registry."""
    process = planted.command.start("sync", "hang", **DEBUG)
    try:
        await asyncio.wait_for(planted.echo.hanging.wait(), 120)
    finally:
        kill(process)


def test_the_search_finds_each_form_that_is_echoed() -> None:
    """Or the test below would find nothing for another reason."""
    search = Search()
    for value in (*SECRETS.values(), *pairs()):
        for form in FORMS:
            assert search.in_text(f"x{form(value)}y", "here"), (value, form(value))
    assert not search.in_text("the registry failed listing the tags [redacted]", "here")


async def test_no_planted_secret_is_found_anywhere(
    planted: Planted, tmp_path: Path, cluster: Cluster, url: str
) -> None:
    async with watched_processes() as processes:
        await _drive(planted, tmp_path)
    search = Search()
    found: list[str] = []
    for where, text in planted.said:
        found += search.in_text(text, where)
    for where, text in of_postgres(url):
        found += search.in_text(text, where)
    database = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition("///")[2]
    for where, text in of_sqlite(Path(database)):
        found += search.in_text(text, where)
    for folder in (tmp_path / "site", tmp_path / "data", cluster.folder / "log"):
        for where, text in of_folder(folder):
            found += search.in_text(text, where)
    for arguments in processes.arguments:
        found += search.in_text(arguments, "arguments of a process")
    for arguments, environment in processes.environments.items():
        if "postgres" in arguments.split(" ")[0]:  # pg_dump gets its own password there
            in_environment = search.in_text(environment, f"environment of {arguments}")
            found += [each for each in in_environment if not each.startswith("record ")]
    for body in planted.echo.alerts:
        found += search.in_text(body, "an alert")
    assert planted.echo.alerts
    used = search.in_text("\n".join(planted.echo.came), "requests")
    assert {each.partition(" ")[0] for each in used} >= SENT
    first = {each.partition(":")[0]: each for each in reversed(found)}  # of each place
    assert not found, "\n".join(first.values())
