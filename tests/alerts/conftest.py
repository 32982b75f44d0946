"""Channels' counterparts on loopback, and a message to send."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from mirror.alerts.channels.message import Event, Message
from mirror.config.channels import Severity
from mirror.history import PostgresRecorder
from mirror.history.alert_texts import Bilingual
from tests.alerts.robots import SECRET, TOKEN, Robots, serve_robots
from tests.alerts.story import Story, settings

NOON = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)  # 12:00 in Beijing


@pytest.fixture
async def robots(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Robots]:
    """The three robots on loopback, with the environment that names their credentials."""
    for name in ("DINGTALK_TOKEN", "FEISHU_TOKEN", "WECOM_KEY"):
        monkeypatch.setenv(name, TOKEN)
    for name in ("DINGTALK_SECRET", "FEISHU_SECRET"):
        monkeypatch.setenv(name, SECRET)
    async with serve_robots(Robots()) as served:
        yield served


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that no machine knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The authority's certificate in a file."""
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS of a server named localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def message() -> Callable[..., Message]:
    """A message that a target refused tags; its parts may be overridden."""

    def make(
        event: Event = Event.OPENED,
        tags: tuple[str, ...] = ("0.1.0-beta.78",),
        errors: tuple[str, ...] = ("registry.example: 0.1.0-beta.78: denied",),
    ) -> Message:
        return Message(
            event=event,
            severity=Severity.CRITICAL,
            what=Bilingual("标签重试后仍同步失败", "tags still fail after their retries"),
            advice=Bilingual("检查目标仓库的凭据", "check the target's credential"),
            since=NOON,
            at=NOON,
            mirror="hagicode-aliyun",
            tags=tags,
            reason=Bilingual("凭据被拒绝", "credential refused"),
            errors=errors,
            link="http://127.0.0.1:4200/runs/flow-run/7b1d",
        )

    return make


@pytest.fixture
async def story(url: str) -> AsyncIterator[Story]:
    """A history of one mirror that begins now, without channels."""
    async with PostgresRecorder.open(url) as record:
        made = Story(record, settings())
        await made.begin()
        yield made
