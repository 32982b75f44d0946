"""What a hostile registry may cost: lists without end end with one error that names the budget."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest

from mirror.registry import (
    BudgetExceeded,
    Clock,
    Endpoint,
    HubApi,
    Registry,
    list_repositories,
)
from mirror.registry.spec.digest import digest_of
from tests.registry.scripted import Script, answer

DIGEST = digest_of(b"")
INDEX = "application/vnd.oci.image.index.v1+json"
MOST = 6_000  # requests after which a list counts as read without end


class Time:
    """A clock that only answers move."""

    def __init__(self) -> None:
        self.passed = 0.0

    async def _sleep(self, seconds: float) -> None:
        self.passed += seconds

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            sleep=self._sleep,
            monotonic=lambda: self.passed,
            random=lambda: 0.5,
        )


def endless(
    page: Callable[[int], dict[str, object]], *, link: bool, kind: str = "application/json"
) -> Callable[[httpx.Request], httpx.Response]:
    """Pages without end, each of which names another one."""

    def make(request: httpx.Request) -> httpx.Response:
        found = re.search(r"at=(\d+)", str(request.url))
        number = int(found.group(1)) if found else 0
        assert number < MOST, "the list is read without end"
        following = request.url.copy_with(query=f"at={number + 1}".encode())
        document = page(number) if link else {**page(number), "next": str(following)}
        headers = {"Content-Type": kind}
        if link:
            headers["Link"] = f'<{following}>; rel="next"'
        return answer(200, json.dumps(document), headers)

    return make


def referrers(count: int) -> Callable[[int], dict[str, object]]:
    def page(number: int) -> dict[str, object]:
        digests = (digest_of(f"{number}/{at}".encode()) for at in range(count))
        listed = [{"mediaType": INDEX, "digest": one, "size": 1} for one in digests]
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}

    return page


async def _referrers(registry: Registry) -> object:
    return await registry.repository("a/b").referrers(DIGEST)


async def _tags(registry: Registry) -> object:
    return await registry.repository("a/b").tags()


async def _hub(registry: Registry) -> object:
    return [len(page.tags) async for page in HubApi(registry).pages("a/b")]


async def _hub_repositories(registry: Registry) -> object:
    return await HubApi(registry).repositories("a")


async def _catalog(registry: Registry) -> object:
    return await list_repositories(registry)


LISTS = [
    pytest.param(_referrers, referrers(40), True, "2,000 referrers", id="referrers"),
    pytest.param(_tags, lambda n: {"tags": [f"t{n}"]}, True, "5,000 pages", id="tags"),
    pytest.param(
        _hub, lambda n: {"results": [{"name": f"t{n}"}]}, False, "5,000 pages", id="hub tags"
    ),
    pytest.param(
        *(_hub_repositories, lambda n: {"results": [{"name": f"r{n}"}]}, False, "5,000 pages"),
        id="hub repositories",
    ),
    pytest.param(
        _catalog, lambda n: {"repositories": [f"r{n}"]}, True, "5,000 pages", id="catalog"
    ),
]


@pytest.mark.parametrize(("read", "page", "link", "budget"), LISTS)
async def test_a_list_without_end_ends_with_the_budget_that_it_broke(
    read: Callable[[Registry], Awaitable[object]],
    page: Callable[[int], dict[str, object]],
    link: bool,
    budget: str,
) -> None:
    script = Script()
    script.on("GET", endless(page, link=link, kind=INDEX if read is _referrers else "text/json"))
    endpoint = Endpoint("registry.test", hub_api="https://hub.test")
    async with Registry(endpoint, transport=script, clock=Time().clock) as registry:
        with pytest.raises(BudgetExceeded, match=f"after {budget} while listing") as caught:
            await read(registry)
        assert not caught.value.transient
        assert caught.value.reason == "server_error"
        assert not registry.capabilities.refusals, "no optional request is held to be broken"


async def test_a_list_has_time_for_all_its_pages_together() -> None:
    script, time = Script(), Time()
    page = endless(lambda n: {"tags": [f"t{n}"]}, link=True)

    def slow(request: httpx.Request) -> httpx.Response:
        time.passed += 100
        return page(request)

    script.on("GET", slow)
    async with Registry(Endpoint("a.test"), transport=script, clock=time.clock) as registry:
        with pytest.raises(BudgetExceeded, match="after 900 seconds while listing the tags"):
            await registry.repository("a/b").tags()
    assert len(script.seen) == 10


async def test_a_list_may_have_so_many_bytes() -> None:
    script = Script()
    script.on("GET", endless(lambda n: {"tags": [f"t{n}"], "x": "y" * (15 << 20)}, link=True))
    async with Registry(Endpoint("a.test"), transport=script) as registry:
        with pytest.raises(BudgetExceeded, match="after 268,435,456 bytes while listing the tags"):
            await registry.repository("a/b").tags()
