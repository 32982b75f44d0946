"""Lists as registries and proxies give them: an empty or odd page is not the end."""

from __future__ import annotations

import json

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import Reason, RunStatus
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")
OCI_INDEX = {"Content-Type": "application/vnd.oci.image.index.v1+json"}


async def test_an_empty_page_of_referrers_is_not_the_last() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        digest = seed(source.store, SOURCE, "1.0", with_referrers("lists"))
        link = {"Link": f'</v2/{SOURCE}/referrers/{digest}?page=2>; rel="next"', **OCI_INDEX}
        empty = Respond(200, headers=link, body=b'{"schemaVersion": 2, "manifests": []}')
        source.faults.add(Rule(f"GET .*/referrers/{digest}$", empty, times=None))
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        there = target.store.repository(TARGET).manifests.keys()
        assert there == source.store.repository(SOURCE).manifests.keys()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (204, b""),
        (200, b'{"tags": {"1.0": {}}}'),
        (200, b'{"tags": 1}'),
        (200, b'{"tags": [{"name": "1.0"}]}'),
        (200, b'{"tags": true}'),
        (200, b'{"Tags": ["1.0"]}'),
        (206, b'{"tags": ["1.0"]}'),
    ],
)
async def test_what_only_looks_like_a_list_is_an_error_and_never_an_empty_source(
    status: int, body: bytes
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, "1.0", single("lists"))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        source.faults.add(Rule("GET .*/tags/list", Respond(status, body=body), times=None))
        synced = await core.sync()
        assert synced.outcome.status is RunStatus.FAILED
        (failure,) = synced.outcome.errors
        assert failure.reason is Reason.SERVER_ERROR
        assert source.host in failure.message


@pytest.mark.parametrize(
    "link",
    [
        '</elsewhere>; rel="next"',
        '<http://[bad>; rel="next"',
        '<ftp://example.com/>; rel="next"',
        'garbage; rel="next"',
    ],
)
async def test_a_next_page_that_cannot_be_read_never_loses_tags(link: str) -> None:
    """Either the list is an error, or it is whole without that page."""
    async with FakeRegistry() as source, FakeRegistry() as target:
        for tag in ("1.0", "1.1", "2.0"):
            seed(source.store, SOURCE, tag, single(tag))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
        page = Respond(200, headers={"Link": link}, body=json.dumps({"tags": ["1.0"]}).encode())
        source.faults.add(Rule("GET .*/tags/list", page, times=None))
        synced = await core.sync()
        assert synced.outcome.status is not RunStatus.SUCCEEDED
        assert not [name for name, tag in core.known.items() if tag.gone_at]


async def test_pages_that_link_in_a_circle_end() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        for tag in ("1.0", "1.1"):
            seed(source.store, SOURCE, tag, single(tag))
        for here, there, tag in (("n=1000", "page=b", "1.0"), ("page=b", "n=1000", "1.1")):
            link = {"Link": f'</v2/{SOURCE}/tags/list?{there}>; rel="next"'}
            page = Respond(200, headers=link, body=json.dumps({"tags": [tag]}).encode())
            source.faults.add(Rule(f"GET .*/tags/list\\?{here}", page, times=None))
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED
        assert target.store.repository(TARGET).tags.keys() == {"1.0", "1.1"}
