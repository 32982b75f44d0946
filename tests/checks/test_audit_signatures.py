"""An audit of a mirror with `verify`: what it holds though no sync would copy it today."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.local.sample_registry.images import single
from mirror.checks.audit_run import open_audit_clients, run_audit
from mirror.checks.rate_limit import RateLimiter
from mirror.config import CosignKeyError, Settings
from tests.checks.memory_recorder import MemoryRecorder
from tests.support.cosign import Signer, signature_tag, signatures
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, seed

OURS, THEIRS = Signer(), Signer()
SIGNED, LATER, OTHER, BARE = (single(f"audited/{name}") for name in ("a", "b", "c", "d"))


@dataclass
class Mirrored:
    """A source and a target that hold the same tags, and a mirror that wants signatures."""

    source: FakeRegistry
    target: FakeRegistry
    settings: Settings

    async def findings(self) -> list[tuple[str, str]]:
        """Tags and kinds of an audit's findings, as they are recorded."""
        recorder = MemoryRecorder({"m": {}})
        mirror = self.settings.mirror("m")
        opening = open_audit_clients(self.settings, mirror, RateLimiter(500), lambda _: "")
        async with opening as clients:
            await run_audit(mirror, recorder, clients)
        (audit,) = recorder.audits
        assert {found.repair for found in audit.findings if found.kind == "unsigned"} <= {None}
        self.messages = {found.tag: found.message for found in audit.findings}
        return [(found.tag, found.kind) for found in audit.findings]


@pytest.fixture
async def mirrored(tmp_path: Path) -> AsyncIterator[Mirrored]:
    OURS.write_public(tmp_path / "cosign.pub")
    async with FakeRegistry() as source, FakeRegistry() as target:
        both = {"1": SIGNED, "2": LATER, "3": OTHER, "4": BARE}
        both[signature_tag(SIGNED)] = signatures([OURS.simple(SIGNED.digest)])
        both[signature_tag(OTHER)] = signatures([THEIRS.simple(OTHER.digest)])
        for store, name in ((source.store, SOURCE), (target.store, TARGET)):
            for tag, image in both.items():
                seed(store, name, tag, image)
        # Signed once the image had been copied, by a mirror that leaves signatures alone.
        seed(source.store, SOURCE, signature_tag(LATER), signatures([OURS.simple(LATER.digest)]))
        (tmp_path / "mirrors.yaml").touch()
        settings = Settings.model_validate(
            {
                "path": tmp_path / "mirrors.yaml",
                "registries": {each.host: {"insecure": True} for each in (source, target)},
                "mirrors": {
                    "m": {
                        "name": "m",
                        "source": f"{source.host}/{SOURCE}",
                        "target": f"{target.host}/{TARGET}",
                        "verify": {"cosign_key": "cosign.pub"},
                    }
                },
            }
        )
        yield Mirrored(source, target, settings)


async def test_what_has_no_valid_signature_on_either_side_is_reported(mirrored: Mirrored) -> None:
    found = [each for each in await mirrored.findings() if each[1] != "behind"]
    assert found == [("3", "unsigned"), ("4", "unsigned")]
    assert "a signature by another key" in mirrored.messages["3"]
    assert f"was copied from {BARE.digest}" in mirrored.messages["4"]
    assert "cosign.pub: none was found" in mirrored.messages["4"]


async def test_the_source_is_asked_for_no_signature_that_the_target_has(mirrored: Mirrored) -> None:
    await mirrored.findings()
    asked = " ".join(each.path for each in mirrored.source.exchanges if each.method == "GET")
    assert signature_tag(SIGNED) not in asked
    assert signature_tag(LATER) in asked


async def test_a_signature_that_cannot_be_read_is_not_taken_for_none(mirrored: Mirrored) -> None:
    name = signature_tag(BARE)
    mirrored.source.faults.add(Rule(f"GET .*/{name}", Respond(401, "UNAUTHORIZED"), times=None))
    mirrored.source.faults.add(Rule("GET .*/referrers/", Respond(401, "UNAUTHORIZED"), times=None))
    found = [each for each in await mirrored.findings() if each[0] == "4"]
    assert found == [("4", "unreadable")]


async def test_without_the_key_nothing_is_audited(mirrored: Mirrored, tmp_path: Path) -> None:
    (tmp_path / "cosign.pub").unlink()
    with pytest.raises(CosignKeyError, match=r"cosign\.pub"):
        await mirrored.findings()
