"""A mirror with `verify` copies what its key has signed, and says why it does not copy the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from flows.local.sample_registry.content import Content, Image
from flows.local.sample_registry.images import single
from mirror.config import CosignKeyError
from mirror.config.models import TagPolicy, VerifySettings
from mirror.outcome import Reason, RunStatus, TagStatus, Trigger
from tests.support.cosign import Layer, Signer, referrer, signature_tag, signatures
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.signatures import fallback_index
from tests.sync.core import SOURCE, TARGET, CoreSync, Synced, endpoint_of, seed

IMAGE = single("signed")
OTHER = single("signed/other")
OURS, THEIRS = Signer(), Signer()
AT_ONCE = timedelta(seconds=0)
WITHOUT_API = replace(quirks.SPECIFICATION, name="no-referrers", referrers=False)
FORMS = ["tag", "referrer: simple signing", "referrer: bundle"]


@dataclass
class Mirror:
    """A source and a target, and the mirror that wants signatures by OURS."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    def push(self, image: Image = IMAGE, tag: str = "1.0") -> None:
        """Push an image to the source."""
        seed(self.source.store, SOURCE, tag, image)

    def sign(self, *layers: Layer, image: Image = IMAGE) -> None:
        """Put these signatures under cosign's tag."""
        seed(self.source.store, SOURCE, signature_tag(image), signatures(layers))

    def refer(self, *layers: Layer, image: Image = IMAGE) -> None:
        """Attach these signatures as referrers, by the way that the source has for them."""
        found = tuple(referrer(image.root, layer) for layer in layers)
        for one in found:
            seed(self.source.store, SOURCE, (), one)
        if not self.source.behaviour.referrers:
            tag = image.digest.replace(":", "-", 1)
            seed(self.source.store, SOURCE, tag, fallback_index(found))

    @property
    def at_target(self) -> dict[str, str]:
        """Digests by tag at the target, without those of signatures."""
        tags = self.target.store.repository(TARGET).tags
        return {tag: digest for tag, digest in tags.items() if not tag.startswith("sha256-")}

    async def sync(self, *, scheduled: bool = False) -> Synced:
        """A full sync, by hand or as scheduled."""
        return await self.core.sync(trigger=Trigger.SCHEDULE if scheduled else Trigger.MANUAL)

    def forward(self, by: timedelta) -> None:
        """Let time pass, as the history sees it."""
        for name, tag in self.core.known.items():
            self.core.recorder.known["app"][name] = replace(
                tag,
                detected_at=tag.detected_at and tag.detected_at - by,
                next_attempt_at=tag.next_attempt_at and tag.next_attempt_at - by,
            )


@asynccontextmanager
async def mirror(
    folder: Path, behaviour: Behaviour = quirks.SPECIFICATION, wait: timedelta = AT_ONCE
) -> AsyncIterator[Mirror]:
    """Such a mirror, empty; by default a tag fails at once for want of a signature."""
    verify = VerifySettings(cosign_key=OURS.write_public(folder / "cosign.pub"), wait=wait)
    async with FakeRegistry(behaviour) as source, FakeRegistry() as target:
        core = CoreSync(endpoint_of(source), endpoint_of(target), verify=verify)
        yield Mirror(source, target, core)


def attach(both: Mirror, form: str, *layers: Layer, image: Image = IMAGE) -> None:
    """Attach signatures in one of FORMS."""
    if form == "tag":
        both.sign(*layers, image=image)
    else:
        both.refer(*layers, image=image)


def made(form: str, signer: Signer, digest: str) -> Layer:
    """A signature in one of FORMS."""
    return signer.bundle(digest) if form == "referrer: bundle" else signer.simple(digest)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("behaviour", [quirks.SPECIFICATION, WITHOUT_API], ids=lambda b: b.name)
async def test_a_signed_image_is_mirrored(tmp_path: Path, behaviour: Behaviour, form: str) -> None:
    async with mirror(tmp_path, behaviour) as both:
        both.push()
        attach(both, form, made(form, OURS, IMAGE.digest))
        synced = await both.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome
        assert both.at_target == {"1.0": IMAGE.digest}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("signer", "signed", "why"),
    [
        (THEIRS, IMAGE, "a signature by another key"),
        (OURS, OTHER, f"it signs {OTHER.digest}"),
    ],
    ids=["another key", "another digest"],
)
async def test_a_signature_by_another_key_or_of_another_image_does_not_count(
    tmp_path: Path, form: str, signer: Signer, signed: Image, why: str
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.push(OTHER, "other")
        both.sign(OURS.simple(OTHER.digest), image=OTHER)
        attach(both, form, made(form, signer, signed.digest))
        synced = await both.sync()
        assert both.at_target == {"other": OTHER.digest}
        failure = synced.failures["1.0"]
        assert failure.reason is Reason.UNSIGNED
        assert why in failure.message
        assert IMAGE.digest in failure.message
        assert "cosign.pub" in failure.message
        assert synced.outcome.status is RunStatus.PARTIAL


async def test_an_image_without_a_signature_fails_and_leaves_nothing_at_the_target(
    tmp_path: Path,
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        synced = await both.sync()
        assert "none was found" in synced.failures["1.0"].message
        held = both.target.store.repository(TARGET)
        assert not (held.tags or held.manifests or held.blobs)
        assert both.core.known["1.0"].attempts == 1
        assert synced.outcome.status is RunStatus.FAILED


async def test_of_several_signatures_one_that_is_valid_is_enough(tmp_path: Path) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.sign(
            THEIRS.simple(IMAGE.digest), OURS.simple(IMAGE.digest), THEIRS.simple(OTHER.digest)
        )
        assert not (await both.sync()).failures
        assert both.at_target == {"1.0": IMAGE.digest}


async def test_a_valid_referrer_counts_next_to_an_invalid_tag(tmp_path: Path) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.sign(THEIRS.simple(IMAGE.digest))
        both.refer(OURS.bundle(IMAGE.digest))
        assert not (await both.sync()).failures


async def test_an_old_image_stays_when_its_tag_moves_to_one_that_is_not_signed(
    tmp_path: Path,
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.sign(OURS.simple(IMAGE.digest))
        await both.sync()
        both.push(OTHER)
        assert (await both.sync()).failures["1.0"].reason is Reason.UNSIGNED
        assert both.at_target == {"1.0": IMAGE.digest}
        both.sign(OURS.simple(OTHER.digest), image=OTHER)
        assert not (await both.sync()).failures
        assert both.at_target == {"1.0": OTHER.digest}


async def test_the_index_itself_must_be_signed_not_one_of_its_platforms(tmp_path: Path) -> None:
    image = multi_platform("signed/index")
    child = Image(image.children[0])
    async with mirror(tmp_path) as both:
        both.push(image)
        both.sign(OURS.simple(child.digest), image=child)
        assert "none was found" in (await both.sync()).failures["1.0"].message
        both.sign(OURS.simple(image.digest), image=image)
        assert not (await both.sync()).failures


async def test_what_the_target_holds_already_is_not_taken_over_without_a_signature(
    tmp_path: Path,
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        seed(both.target.store, TARGET, "1.0", IMAGE)
        synced = await both.sync()
        assert synced.failures["1.0"].reason is Reason.UNSIGNED
        assert both.core.known["1.0"].copied_digest is None
        both.sign(OURS.simple(IMAGE.digest))
        assert "1.0" in (await both.sync()).arrived


async def test_a_tag_waits_for_a_signature_that_comes_later_without_failing(
    tmp_path: Path,
) -> None:
    async with mirror(tmp_path, wait=timedelta(minutes=15)) as both:
        both.push()
        first = await both.sync(scheduled=True)
        assert first.outcome.status is RunStatus.SUCCEEDED, "nothing has failed"
        assert first.waited == ("1.0",)
        assert [why for why in first.outcome.warnings if "waits for a signature" in why]
        state = both.core.known["1.0"]
        assert (state.attempts, state.copied_digest) == (0, None)
        second = await both.sync(scheduled=True)
        assert (second.waited, second.plan.failing) == ((), ()), "not looked at again at once"
        assert second.outcome.status is RunStatus.SUCCEEDED
        both.forward(timedelta(minutes=1))
        assert (await both.sync(scheduled=True)).waited == ("1.0",)
        both.sign(OURS.simple(IMAGE.digest))
        both.forward(timedelta(minutes=1))
        assert not (await both.sync(scheduled=True)).failures
        assert both.at_target == {"1.0": IMAGE.digest}


async def test_a_tag_that_has_waited_long_enough_fails(tmp_path: Path) -> None:
    async with mirror(tmp_path, wait=timedelta(minutes=15)) as both:
        both.push()
        await both.sync()
        both.forward(timedelta(minutes=16))
        synced = await both.sync(scheduled=True)
        assert synced.failures["1.0"].reason is Reason.UNSIGNED
        assert both.core.known["1.0"].attempts == 1


async def test_floating_tags_of_one_image_wait_with_its_exact_one(tmp_path: Path) -> None:
    async with mirror(tmp_path, wait=timedelta(minutes=15)) as both:
        for tag in ("1.2.3", "latest"):
            both.push(tag=tag)
        synced = await both.sync()
        assert set(synced.waited) == {"1.2.3", "latest"}
        assert not synced.failures
        assert [status for _, status, _ in both.core.recorder.skipped] == [TagStatus.WAITING] * 2


async def test_a_source_that_fails_is_no_missing_signature(tmp_path: Path) -> None:
    async with mirror(tmp_path, wait=timedelta(minutes=15)) as both:
        both.push()
        refused = Rule(f"manifests/{signature_tag(IMAGE)}", Respond(400), times=None)
        both.source.faults.add(refused)
        assert (await both.sync()).failures["1.0"].reason is Reason.REFUSED
        assert both.at_target == {}


async def test_signatures_themselves_travel_without_a_signature(tmp_path: Path) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.sign(OURS.simple(IMAGE.digest))
        await both.sync()
        assert signature_tag(IMAGE) in both.target.store.repository(TARGET).tags


async def test_a_payload_that_was_changed_after_it_was_signed_does_not_count(
    tmp_path: Path,
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        signed = OURS.simple(OTHER.digest)
        raw = signed.content.raw.replace(OTHER.digest.encode(), IMAGE.digest.encode())
        both.sign(replace(signed, content=Content.of(raw, signed.content.media_type)))
        assert "by another key" in (await both.sync()).failures["1.0"].message


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([THEIRS.simple(IMAGE.digest, type=f"{number}") for number in range(150)], "newest 100"),
        ([OURS.simple(IMAGE.digest, identity="x" * 300_000)], "above the budget of 262,144"),
        ([Layer(IMAGE.root)], "no signature in a form"),
    ],
    ids=["many", "large", "no signatures"],
)
async def test_hostile_manifests_of_signatures_cost_little(
    tmp_path: Path, layers: Sequence[Layer], why: str
) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.core.tags = TagPolicy(include=("1.*",))
        both.core.referrers = False
        both.sign(*layers)
        synced = await both.sync()
        assert why in synced.failures["1.0"].message
        assert len(synced.failures["1.0"].message) <= 1000
        assert synced.source_requests <= 110


async def test_a_key_that_cannot_be_read_fails_the_run_and_copies_nothing(tmp_path: Path) -> None:
    async with mirror(tmp_path) as both:
        both.push()
        both.sign(OURS.simple(IMAGE.digest))
        (tmp_path / "cosign.pub").unlink()
        with pytest.raises(CosignKeyError, match="cannot be read"):
            await both.sync()
        (ended,) = both.core.recorder.ended
        assert (ended.status, ended.errors[0].reason) == (RunStatus.FAILED, Reason.UNSIGNED)
        assert both.at_target == {}
