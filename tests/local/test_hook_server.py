"""Reports of pushes over HTTP: what is accepted, what is refused, and what is written."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from flows.local.hook_server import HookServer, open_hooks
from flows.local.site_server import application
from mirror.errors import ConfigError

SECRET = "a1b2c3d4e5f6a7b8"
REPORT = {"repository": "team/app", "tag": "latest"}


@asynccontextmanager
async def served(
    folder: Path, url: str, secret: str | None = SECRET
) -> AsyncIterator[httpx.AsyncClient]:
    """The site's server with its address for reports."""
    async with HookServer(secret, url) as hooks:
        transport = httpx.ASGITransport(application(folder, None, hooks.routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            yield client


def events(engine: sa.Engine) -> list[tuple[str, str, str | None]]:
    """What was written."""
    query = "SELECT kind, repository, tag FROM hook_event ORDER BY received_at"
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


async def test_a_report_is_accepted_and_written(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    async with served(tmp_path, url) as client:
        answer = await client.post(f"/hooks/generic/{SECRET}", json=REPORT)
    assert answer.status_code == 202
    assert events(engine) == [("generic", "team/app", "latest")]


async def test_a_login_for_reports_writes_them_where_the_site_s_own_does_not(
    tmp_path: Path, url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", "postgresql://reader@127.0.0.1:1/mirror")
    monkeypatch.setenv("MIRROR_HOOK_DATABASE_URL", url)
    async with HookServer(SECRET) as hooks:
        transport = httpx.ASGITransport(application(tmp_path, None, hooks.routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            answer = await client.post(f"/hooks/generic/{SECRET}", json=REPORT)
    assert answer.status_code == 202
    assert events(engine) == [("generic", "team/app", "latest")]


@pytest.mark.parametrize(
    "path",
    ["generic/wrong", f"generic/{SECRET}x", f"unknown/{SECRET}", f"github/{SECRET}", "generic/ä"],
)
async def test_a_wrong_secret_kind_or_signature_is_404_and_writes_nothing(
    tmp_path: Path, url: str, engine: sa.Engine, path: str
) -> None:
    async with served(tmp_path, url) as client:
        answer = await client.post(f"/hooks/{path}", json=REPORT)
    assert answer.status_code == 404
    assert events(engine) == []


async def test_github_signs_its_reports(tmp_path: Path, url: str, engine: sa.Engine) -> None:
    package = {"name": "app", "namespace": "team"}
    body = json.dumps({"registry_package": package}).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    async with served(tmp_path, url) as client:
        address = f"/hooks/github/{SECRET}"
        headers = {"X-Hub-Signature-256": signature}
        assert (await client.post(address, content=body, headers=headers)).status_code == 202
        other = await client.post(address, content=body + b" ", headers=headers)
        assert other.status_code == 404
    assert events(engine) == [("github", "team/app", None)]


async def test_a_body_of_more_than_64_kb_is_refused(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    async with served(tmp_path, url) as client:
        answer = await client.post(f"/hooks/generic/{SECRET}", content=b" " * 65537)
    assert answer.status_code == 413
    assert events(engine) == []


async def test_a_body_that_is_no_report_is_400(tmp_path: Path, url: str) -> None:
    async with served(tmp_path, url) as client:
        answer = await client.post(f"/hooks/generic/{SECRET}", content=b"{")
    assert answer.status_code == 400


async def test_one_sender_cannot_send_without_end(
    tmp_path: Path, url: str, engine: sa.Engine
) -> None:
    async with served(tmp_path, url) as client:
        address = f"/hooks/generic/{SECRET}"
        codes = [(await client.post(address, content=b"{")).status_code for _ in range(200)]
    assert codes[:120] == [400] * 120
    assert 429 in codes[120:]


async def test_without_a_secret_there_is_no_address(tmp_path: Path, url: str) -> None:
    async with served(tmp_path, url, None) as client:
        answer = await client.post("/hooks/generic/", json=REPORT)
        assert answer.status_code in (404, 405, 503)


def test_a_secret_that_is_missing_or_short_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mirrors.yaml"
    file.write_text(
        "mirrors: {m: {source: team/app, target: r.example.com/a/b}}\n"
        "hooks: {secret_env: MIRROR_HOOK_SECRET}\n"
    )
    monkeypatch.setenv("MIRROR_CONFIG", str(file))
    for value in ("", "short"):
        monkeypatch.setenv("MIRROR_HOOK_SECRET", value)
        with pytest.raises(ConfigError, match="openssl rand -hex 24"):
            open_hooks()
    monkeypatch.setenv("MIRROR_HOOK_SECRET", SECRET)
    assert open_hooks().routes
