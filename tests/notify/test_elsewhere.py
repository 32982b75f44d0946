"""Every other service is reached by apprise, and its failures and tokens are looked after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from flows.notify import Message, NotConfigured, Refused
from flows.notify.elsewhere import Elsewhere
from flows.notify.options import AppriseOptions
from flows.outcome import utcnow

MakeMessage = Callable[..., Message]
TOKEN = "a-token-in-the-path"

# apprise imports imghdr, which Python 3.13 drops, where it finds it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


@dataclass
class Hook:
    """A web hook that apprise's json:// scheme posts to."""

    status: int = 200
    port: int = 0
    bodies: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Keep the body; answer with `status`."""
        assert request.path == f"/{TOKEN}"
        self.bodies.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def hook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hook]:
    """The hook on a free port, its URL in APPRISE_URL."""
    served = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", served.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    monkeypatch.setenv("APPRISE_URL", f"json://127.0.0.1:{served.port}/{TOKEN}")
    yield served
    await runner.cleanup()


async def test_a_message_arrives_with_title_and_kind(
    hook: Hook, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await Elsewhere("apprise", AppriseOptions(url_env="APPRISE_URL")).send(message(), utcnow())
    [body] = hook.bodies
    assert body["title"].startswith("[严重 CRITICAL] hagicode-aliyun")
    assert "check the target's credential" in body["message"]
    assert body["type"] == "failure"
    assert TOKEN not in caplog.text


async def test_a_service_that_fails_is_an_error_that_does_not_tell_the_url(
    hook: Hook, message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500
    with pytest.raises(Refused, match=r"apprise could not send it \(.*500.*check APPRISE_URL") as e:
        await Elsewhere("apprise", AppriseOptions(url_env="APPRISE_URL")).send(message(), utcnow())
    assert TOKEN not in str(e.value) + caplog.text


async def test_a_url_that_apprise_does_not_know_is_an_error(
    message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRISE_URL", f"carrier-pigeon://{TOKEN}")
    with pytest.raises(NotConfigured, match=r"APPRISE_URL does not hold") as error:
        await Elsewhere("apprise", AppriseOptions(url_env="APPRISE_URL")).send(message(), utcnow())
    assert TOKEN not in str(error.value)
