"""`mirror deploy --automations`: Prefect's own alerts are made once and kept as written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL

from flows.orchestration import Automated, deploy_automations, planned
from mirror.config import load_settings
from mirror.errors import ConfigError
from tests.flows.conftest import Mirrors

# apprise, which Prefect's block sends with, still imports it on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NAMES = {
    f"hagicode-mirror: {what}" for what in ("a run failed", "a mirror was not synced", "no worker")
}


async def made(mirrors: Mirrors, block: str = "slack-webhook/operators") -> Automated:
    api_url = PREFECT_API_URL.value()
    assert api_url is not None
    return await deploy_automations(api_url, planned(load_settings(mirrors.path)), "pool", block)


@pytest.fixture
async def mirror(mirrors: Mirrors) -> AsyncIterator[Mirrors]:
    from prefect.blocks.notifications import SlackWebhook

    mirrors.add("m", "registry.example.com/team/app", "east.example.com/team/app")
    await SlackWebhook(url="https://hooks.example.com/x").save("operators", overwrite=True)
    yield mirrors
    async with get_client() as client:
        for each in await client.read_automations():
            await client.delete_automation(each.id)


async def test_they_are_made_once_and_those_disabled_stay_so(mirror: Mirrors) -> None:
    assert set((await made(mirror)).added) == NAMES
    async with get_client() as client:
        (disabled,) = await client.read_automations_by_name("hagicode-mirror: no worker")
        await client.pause_automation(disabled.id)
        assert set((await made(mirror)).unchanged) == NAMES
        (disabled,) = await client.read_automations_by_name("hagicode-mirror: no worker")
        assert not disabled.enabled


async def test_what_mirrors_yaml_says_now_changes_them(mirror: Mirrors) -> None:
    await made(mirror)
    mirror.mirrors["m"]["every"] = "3h"
    mirror.write()
    assert (await made(mirror)).changed == ("hagicode-mirror: a mirror was not synced",)


async def test_an_unknown_block_is_one_clear_error(mirror: Mirrors) -> None:
    with pytest.raises(ConfigError, match="unknown Prefect notification block 'slack-webhook/x'"):
        await made(mirror, "slack-webhook/x")
