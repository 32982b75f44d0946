"""Token services as they are: every image arrives all the same, or the service is named."""

from __future__ import annotations

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.support.fake_registry import quirks
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b'{"token": "secret-', b"[]", b""])
async def test_what_is_no_token_names_the_service_and_is_not_shown(body: bytes) -> None:
    async with FakeRegistry(quirks.HARBOR) as source, FakeRegistry() as target:
        seed(source.store, SOURCE, "1", single("token"))
        source.faults.add(Rule("/service/token", Respond(200, body=body), times=None))
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert synced.outcome.status is RunStatus.FAILED
        (failure,) = synced.outcome.errors
        assert f"{source.url}/service/token" in failure.message
        assert "secret-" not in failure.message
