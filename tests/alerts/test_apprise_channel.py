"""Every other service is reached by apprise, and its failures and tokens are looked after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import pytest

from mirror.alerts.channels.apprise_channel import AppriseChannel
from mirror.alerts.channels.errors import NotConfigured, Refused
from mirror.alerts.channels.message import Message
from mirror.config.channels import AppriseOptions
from mirror.outcome import utcnow
from tests.alerts.webhook import TOKEN, Hook, serve_hook

MakeMessage = Callable[..., Message]

# apprise imports imghdr, which Python 3.13 drops, where it finds it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


@pytest.fixture
async def hook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hook]:
    """The hook, its URL in APPRISE_URL."""
    async with serve_hook() as served:
        monkeypatch.setenv("APPRISE_URL", served.url)
        yield served


async def test_a_message_arrives_with_title_and_kind(
    hook: Hook, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await AppriseChannel("apprise", AppriseOptions(url_env="APPRISE_URL")).send(message(), utcnow())
    [body] = hook.bodies
    assert body["title"].startswith("[严重 CRITICAL] hagicode-aliyun")
    assert "check the target's credential" in body["message"]
    assert body["type"] == "failure"
    assert TOKEN not in caplog.text


async def test_a_service_that_fails_is_an_error_that_does_not_show_the_url(
    hook: Hook, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500
    with pytest.raises(Refused, match=r"apprise could not send it \(.*500.*check APPRISE_URL") as e:
        await AppriseChannel("apprise", AppriseOptions(url_env="APPRISE_URL")).send(
            message(), utcnow()
        )
    assert TOKEN not in str(e.value) + caplog.text


async def test_a_url_that_apprise_does_not_know_is_an_error(
    message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRISE_URL", f"carrier-pigeon://{TOKEN}")
    with pytest.raises(
        NotConfigured, match=r"APPRISE_URL is not a URL that apprise supports"
    ) as error:
        await AppriseChannel("apprise", AppriseOptions(url_env="APPRISE_URL")).send(
            message(), utcnow()
        )
    assert TOKEN not in str(error.value)
