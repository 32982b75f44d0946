"""The test of registries from the reader's browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.website.conftest import Reader

HOSTS = ("registry.cn-hangzhou.aliyuncs.com", "registry-1.docker.io", "hagicode.azurecr.io")


@pytest.mark.parametrize("path", ["sources/", "en/sources/"])
def test_it_shows_how_soon_each_registry_answers_and_which_is_out_of_reach(
    reader: Reader, path: str
) -> None:
    page = reader.open(path)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if "docker.io" in route.request.url:
            route.abort("connectionrefused")
        else:
            route.fulfill(status=401, body="{}")

    for host in HOSTS:
        page.route(f"https://{host}/**", answer)
    block = page.locator("#reach")
    assert asked == []  # nothing without a click
    block.get_by_role("button").click()
    cells = block.locator("[data-reach]")
    for number, host in enumerate(HOSTS):
        expected = block.get_attribute("data-unreached") if "docker.io" in host else r" ms"
        expect(cells.nth(number)).to_contain_text(str(expected))
    assert sorted(set(asked)) == sorted(f"https://{host}/v2/" for host in HOSTS)
    assert all(said.startswith("Failed to load resource") for said in reader.complaints)
    reader.complaints.clear()


def test_without_scripts_it_is_not_there(reader: Reader) -> None:
    expect(reader.open("sources/", script=False).locator("#reach")).to_be_hidden()


def test_other_pages_may_ask_no_other_host(reader: Reader) -> None:
    page = reader.open("status/")
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None and "connect-src 'self';" in policy
