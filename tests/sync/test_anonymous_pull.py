"""Whether people without an account can pull what was mirrored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import CopyOutcome, Reason, TagFailure
from mirror.registry import Endpoint, Registry
from mirror.sync.anonymous_pull import anonymous_trouble, warn_if_private
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import TARGET, CoreSync, endpoint_of, seed
from tests.sync.parts import copied, requests

IMAGE = single("anonymous")
PRIVATE = quirks.ALIYUN_PERSONAL
PUBLIC = quirks.HARBOR  # a login to push, none to pull
DONE = (copied("1.0", IMAGE.digest), copied("2.0", IMAGE.digest))


async def trouble(registry: FakeRegistry, tag: str | None) -> str | None:
    """What an anonymous user meets at the registry."""
    endpoint = Endpoint(registry.host, insecure=True, realm_hosts=endpoint_of(registry).realm_hosts)
    async with Registry(endpoint) as client:
        return await anonymous_trouble(client.repository(TARGET), tag)


@pytest.mark.parametrize("tag", ["1.0", None])
async def test_a_public_repository_gives_no_trouble(tag: str | None) -> None:
    async with FakeRegistry(PUBLIC) as registry:
        seed(registry.store, TARGET, "1.0", IMAGE)
        assert await trouble(registry, tag) is None


@pytest.mark.parametrize("tag", ["1.0", None])
async def test_a_private_repository_is_named_with_what_to_do(tag: str | None) -> None:
    async with FakeRegistry(PRIVATE) as registry:
        seed(registry.store, TARGET, "1.0", IMAGE)
        found = await trouble(registry, tag)
        assert found is not None
        assert f"cannot pull from {registry.host}/{TARGET} (status 401)" in found
        assert "make the repository public" in found


async def test_a_tag_that_anonymous_users_do_not_see_is_trouble() -> None:
    async with FakeRegistry(PUBLIC) as registry:
        seed(registry.store, TARGET, "1.0", IMAGE)
        found = await trouble(registry, "2.0")
        assert found is not None
        assert f"do not see the tags of {registry.host}/{TARGET}" in found


async def test_a_repository_that_is_not_there_yet_is_no_trouble() -> None:
    async with FakeRegistry(PUBLIC) as registry:
        assert await trouble(registry, None) is None


async def test_a_registry_that_fails_says_nothing_of_who_can_pull() -> None:
    fault = Rule("/manifests/", Respond(400), times=None)
    async with FakeRegistry(PUBLIC, faults=(fault,)) as registry:
        found = await trouble(registry, "1.0")
        assert found is not None
        assert found.startswith("cannot check whether anonymous users can pull from")


async def warned(registry: FakeRegistry, *outcomes: CopyOutcome) -> str | None:
    """The warning of a run that ended with these outcomes."""
    async with FakeRegistry() as source:
        core = CoreSync(endpoint_of(source), endpoint_of(registry))
        async with core.open() as context:
            anonymous = Registry(
                Endpoint(
                    registry.host, insecure=True, realm_hosts=endpoint_of(registry).realm_hosts
                )
            )
            async with anonymous:
                clients = replace(context.clients, anonymous=anonymous.repository(TARGET))
                await clients.target.tags()  # logs in, as the copies have done
                registry.exchanges.clear()
                return await warn_if_private(clients, outcomes)


@pytest.mark.parametrize(("behaviour", "private"), [(PRIVATE, True), (PUBLIC, False)])
async def test_a_run_warns_if_what_arrived_cannot_be_pulled(
    behaviour: Behaviour, private: bool
) -> None:
    async with FakeRegistry(behaviour) as registry:
        seed(registry.store, TARGET, ("1.0", "2.0"), IMAGE)
        assert (await warned(registry, *DONE) is not None) is private
        assert "HEAD manifests/2.0" in requests(registry), "the tag that arrived last"
        assert "HEAD manifests/1.0" not in requests(registry)


async def test_nothing_is_requested_where_nothing_arrived() -> None:
    async with FakeRegistry(PRIVATE) as registry:
        seed(registry.store, TARGET, "1.0", IMAGE)
        failure = TagFailure("1.0", Reason.NETWORK, "broken")
        assert await warned(registry) is None
        assert await warned(registry, replace(DONE[0], failure=failure)) is None
        assert registry.exchanges == []


async def test_nothing_is_requested_where_the_mirror_itself_needs_no_credential() -> None:
    async with FakeRegistry() as registry:
        seed(registry.store, TARGET, ("1.0", "2.0"), IMAGE)
        assert await warned(registry, *DONE) is None
        assert registry.exchanges == []
