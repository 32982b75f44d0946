"""A few random faults, as CI runs them; and the eyes of the harness see what it looks for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faults.figures import Figures
from faults.invariants import Storage
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fixtures import StartDockerRegistry


def test_after_random_faults_everything_is_whole_recorded_and_recovered() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "faults", "--faults", "12", "--seed", "20261126"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["faults"] >= 12
    assert figures["torn_tags"] == figures["available_but_absent"] == {}
    assert figures["not_recovered"] == 0
    assert figures["looks_from_outside"] > 0


async def test_a_tag_of_which_a_part_is_missing_or_wrong_is_seen(
    docker_registry: StartDockerRegistry,
) -> None:
    registry = docker_registry()
    image = multi_platform("torn")
    digest = await push(registry.url, "copy/app", "1.0", image)

    def trouble() -> list[str]:
        return list(Storage(registry.storage, "copy/app").trouble(digest))

    assert Storage(registry.storage, "copy/app").tags() == {"1.0": digest}
    assert trouble() == []
    blob = next(iter(image.blobs)).removeprefix("sha256:")
    data = registry.storage / "blobs" / "sha256" / blob[:2] / blob / "data"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    assert "incomplete" in trouble()[0]
    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "other bytes" in trouble()[0]
    data.write_bytes(whole)
    shutil.rmtree(registry.storage / "repositories/copy/app/_layers/sha256" / blob)
    assert trouble() == [f"blob sha256:{blob}: absent"]


@pytest.mark.parametrize(
    "broken",
    [
        {"torn": {"1.0": "blob"}},
        {"absent": {"1.0": "blob"}},
        {"violations": ["records lost"]},
        {"crashes": [("sync killed", "Traceback")]},
        {"hung": ["connection stalled"]},
        {"unrecovered": 1},
    ],
)
def test_nothing_that_broke_passes(broken: dict[str, object]) -> None:
    assert Figures(1).well
    assert not Figures(1, **broken).well  # type: ignore[arg-type]  # one field at a time
