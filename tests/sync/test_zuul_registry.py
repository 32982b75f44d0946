"""A registry written independently of distribution: OpenDev's zuul-registry, as source and target.

Its habits: no page size (404 for `?n=`), digests among the tags, no single POST, no ranges, tokens
for two levels instead of scopes, HTML error pages.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from flows.local.sample_registry.images import attested, single
from mirror.outcome import RunStatus
from mirror.registry import Credential, Endpoint
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import PASSWORD, USERNAME, free_port
from tests.sync.core import SOURCE, CoreSync, endpoint_of, seed

PROGRAM = Path(__file__).parents[2] / ".tools" / "zuul-registry" / "bin" / "zuul-registry"
START_SECONDS = 60
TAGS = {
    "1.0": single("zuul/1.0", sizes=(3000, 2_500_000)),
    "2.0": multi_platform("zuul/2.0"),
    "3.0": with_referrers("zuul/3.0"),
    "4.0": attested("zuul/4.0"),
}


@pytest.fixture(scope="module")
def zuul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A running zuul-registry, with a login that may push."""
    if not PROGRAM.exists():
        pytest.fail("zuul-registry is not installed: run scripts/zuul-registry")
    folder, port = tmp_path_factory.mktemp("zuul"), free_port()
    registry = {
        "address": "127.0.0.1",
        "port": port,
        "public-url": f"http://127.0.0.1:{port}",
        "secret": "of the tests",
        "users": [{"name": USERNAME, "pass": PASSWORD, "access": "write"}],
        "storage": {"driver": "filesystem", "root": str(folder / "storage")},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"registry": registry}))
    command = [str(PROGRAM), "-c", str(folder / "config.yaml"), "serve"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}, cwd=folder
        )
    try:
        _wait_until_it_answers(process, port, folder / "log")
        login = Credential(USERNAME, PASSWORD, origin="the test")
        yield Endpoint(f"127.0.0.1:{port}", insecure=True, credential=lambda _: login)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if client.get(f"http://127.0.0.1:{port}/v2/").status_code == 401:
                    return
            time.sleep(0.05)
    pytest.fail(f"zuul-registry did not start: {log.read_text()}")


async def test_images_go_through_it_and_come_out_identical(zuul: Endpoint) -> None:
    async with FakeRegistry() as source, FakeRegistry() as last:
        for tag, image in TAGS.items():
            seed(source.store, SOURCE, tag, image)
        there = CoreSync(endpoint_of(source), zuul, target_name="hagicode/app")
        synced = await there.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        refusals = there.recorder.refusals[zuul.host, "hagicode/app"]
        assert "404" in refusals["page_size"].reason
        for full in (True, False):
            synced = await there.sync(full=full)
            assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
            assert not synced.changed
        back = CoreSync(zuul, endpoint_of(last), source_name="hagicode/app")
        synced = await back.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        assert any("no tags" in warning for warning in synced.outcome.warnings)
        arrived = last.store.repository("hagicode/app").tags
        assert {tag: image.digest for tag, image in TAGS.items()}.items() <= arrived.items()
