"""Deleting a tag never takes another one away, whatever the registry can delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flows.local.sample_registry.content import index
from flows.local.sample_registry.images import over, single
from mirror.config.models import TagPolicy
from mirror.outcome import Change, ChangeKind, TagStatus
from mirror.sync.deletion import TagRemover, delete_gone
from tests.support.fake_registry import quirks
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import snapshot
from tests.sync.core import NAME, TARGET, CoreSync, endpoint_of, seed
from tests.sync.parts import change, known, repository_at, requests

BY_DIGEST_ALONE = quirks.DISTRIBUTION_2_8
ONE, TWO = single("deletion/one"), single("deletion/two")


async def removed(
    registry: FakeRegistry, *tags: str, held: Mapping[str, str | None] | None = None
) -> list[str | None]:
    """Delete tags one after the other, as one run does; the reasons of those that stay."""
    async with repository_at(registry) as target:
        remover = TagRemover(target, tags, held or {})
        return [await remover.remove(tag) for tag in tags]


async def test_a_registry_that_deletes_tags_is_asked_for_nothing_else() -> None:
    async with FakeRegistry() as registry:
        seed(registry.store, TARGET, ("going", "staying"), ONE)
        assert await removed(registry, "going") == [None]
        assert registry.store.repository(TARGET).tags == {"staying": ONE.digest}
        assert requests(registry) == ["DELETE manifests/going"]


async def test_a_registry_that_deletes_manifests_alone_loses_the_tag_with_its_manifest() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        seed(registry.store, TARGET, "going", ONE)
        seed(registry.store, TARGET, "staying", TWO)
        assert await removed(registry, "going") == [None]
        held = registry.store.repository(TARGET)
        assert held.tags == {"staying": TWO.digest}
        assert set(held.manifests) == {TWO.digest}


async def test_a_tag_stays_whose_manifest_another_tag_needs() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        seed(registry.store, TARGET, ("going", "staying"), ONE)
        (reason,) = await removed(registry, "going")
        assert reason is not None
        assert f"{registry.host}/{TARGET}:going stays" in reason
        assert "staying points at the same manifest" in reason
        assert set(registry.store.repository(TARGET).tags) == {"going", "staying"}


async def test_what_the_record_knows_to_be_shared_is_not_looked_for() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        seed(registry.store, TARGET, ("going", "staying"), ONE)
        held = {"going": ONE.digest, "staying": ONE.digest}
        (reason,) = await removed(registry, "going", held=held)
        assert reason is not None
        assert "staying points at the same manifest" in reason
        assert requests(registry) == ["DELETE manifests/going", "HEAD manifests/going"]


async def test_tags_that_go_together_do_not_keep_each_other() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        seed(registry.store, TARGET, ("going", "going-too"), ONE)
        held = dict.fromkeys(("going", "going-too"), ONE.digest)
        assert await removed(registry, "going", "going-too", held=held) == [None, None]
        assert registry.store.repository(TARGET).tags == {}


async def test_a_manifest_stays_that_is_a_part_of_another_tag_s_index_however_deep() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        inner = multi_platform("deletion/inner")
        outer = over(index([inner.root.descriptor()]), [inner])
        seed(registry.store, TARGET, "outer", outer)
        held = registry.store.repository(TARGET)
        held.tags |= {"inner": inner.digest, "platform": inner.children[0].digest}
        for reason in await removed(registry, "inner", "platform"):
            assert reason is not None
            assert "it is a part of outer" in reason
        assert set(held.tags) == {"outer", "inner", "platform"}


async def test_the_other_tags_are_looked_at_once_for_all_that_go() -> None:
    async with FakeRegistry(BY_DIGEST_ALONE) as registry:
        going = [f"going-{number}" for number in range(3)]
        for tag in going:
            seed(registry.store, TARGET, tag, single(f"deletion/{tag}"))
        seed(registry.store, TARGET, "staying", ONE)
        assert await removed(registry, *going) == [None] * 3
        assert requests(registry, "GET") == ["GET tags/list", f"GET manifests/{ONE.digest}"]


async def test_a_tag_that_is_not_there_is_gone() -> None:
    for behaviour in (quirks.SPECIFICATION, BY_DIGEST_ALONE):
        async with FakeRegistry(behaviour) as registry:
            seed(registry.store, TARGET, "staying", ONE)
            assert await removed(registry, "absent") == [None]
            assert set(registry.store.repository(TARGET).tags) == {"staying"}


async def test_a_manifest_that_vanishes_while_it_is_looked_at_holds_up_nothing() -> None:
    gone = Rule(f"GET .*/manifests/{TWO.digest}", Respond(404, "MANIFEST_UNKNOWN"), times=None)
    async with FakeRegistry(BY_DIGEST_ALONE, faults=(gone,)) as registry:
        seed(registry.store, TARGET, "going", ONE)
        seed(registry.store, TARGET, "vanishing", TWO)
        assert await removed(registry, "going") == [None]


async def test_a_refusal_is_the_reason_and_nothing_is_raised() -> None:
    refusal = Rule("DELETE ", Respond(403, "DENIED", "deletion is switched off"), times=None)
    async with FakeRegistry(faults=(refusal,)) as registry:
        seed(registry.store, TARGET, "going", ONE)
        (reason,) = await removed(registry, "going")
        assert reason is not None
        assert "403" in reason
        assert set(registry.store.repository(TARGET).tags) == {"going"}


async def test_a_list_that_cannot_be_read_keeps_the_tag() -> None:
    """What else needs the manifest is then unknown."""
    broken = Rule("GET .*/tags/list", Respond(400), times=None)
    async with FakeRegistry(BY_DIGEST_ALONE, faults=(broken,)) as registry:
        seed(registry.store, TARGET, "going", ONE)
        (reason,) = await removed(registry, "going")
        assert reason is not None
        assert set(registry.store.repository(TARGET).tags) == {"going"}


async def test_a_real_registry_loses_the_tag_that_goes_and_keeps_those_that_share_with_it(
    shared_docker_registry: DockerRegistry,
) -> None:
    name = "deletion/real"
    both = multi_platform("deletion/real")
    child = replace(both, root=both.children[0], children=())
    await push(shared_docker_registry.url, name, "alone", ONE)
    await push(shared_docker_registry.url, name, ("shared", "staying"), TWO)
    await push(shared_docker_registry.url, name, "both", both)
    await push(shared_docker_registry.url, name, "platform", child)
    async with repository_at(shared_docker_registry, name) as target:
        remover = TagRemover(target, ("alone", "shared", "platform"), {})
        reasons = [await remover.remove(tag) for tag in ("alone", "shared", "platform")]
    assert reasons[0] is None
    assert reasons[1] is not None
    assert "staying points at the same manifest" in reasons[1]
    assert reasons[2] is not None
    assert "it is a part of both" in reasons[2]
    left = await snapshot(shared_docker_registry.url, name)
    assert set(left.tags) == {"shared", "staying", "both", "platform"}
    assert left.whole


def going(tag: str, target_tag: str) -> Change:
    """A tag whose grace period is over."""
    return replace(change(tag, ONE.digest, ChangeKind.GONE), target_tag=target_tag)


async def test_what_is_deleted_is_recorded_and_what_stays_is_a_warning() -> None:
    async with FakeRegistry() as source, FakeRegistry(BY_DIGEST_ALONE) as target:
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=TagPolicy(rename="v{tag}"))
        record = core.recorder
        seed(target.store, TARGET, "v1", ONE)
        seed(target.store, TARGET, ("v2", "v3"), TWO)
        record.known[NAME] = {
            tag: known(tag, image.digest) for tag, image in (("1", ONE), ("2", TWO), ("3", TWO))
        }
        async with core.open() as context:
            await delete_gone(context, "run", [going("2", "v2")], record.known[NAME])
            assert not requests(target, "GET"), "the record knows what shares it, by target tag"
            deletions = [going("1", "v1"), going("2", "v2")]
            warnings = await delete_gone(context, "run", deletions, record.known[NAME])
        assert set(target.store.repository(TARGET).tags) == {"v2", "v3"}
        assert record.skipped == [("1", TagStatus.DELETED, "gone at the source")]
        assert set(record.known[NAME]) == {"2", "3"}
        (warning,) = warnings
        assert warning.startswith("2 is gone at the source and was not deleted: ")
        assert "v3 points at the same manifest" in warning
