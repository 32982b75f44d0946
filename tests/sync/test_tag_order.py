"""Exact releases land before the floating tags that point at them, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random

from hypothesis import HealthCheck, given, settings, strategies as st

from flows.local.sample_registry.images import single
from mirror.outcome import Discovery, Reason, SourceTag, TagFailure, utcnow
from mirror.sync.tags.diff import diff
from mirror.sync.tags.tag_rules import TagRules, specificity
from tests.support.fake_registry.faults import Delay, Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

RELEASES = {
    "0.1.0-beta.77": ("0.1.0-beta.77",),
    "0.1.0-beta.78": ("0.1.0-beta.78", "0.1.0", "0.1", "0", "latest"),
    "0.0.9": ("0.0.9", "0.0"),
    "nightly": ("nightly", "edge"),
}


async def landed(source: FakeRegistry, target: FakeRegistry) -> list[str]:
    """Sync everything; the tags in the order in which they were written."""
    await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
    prefix = f"/v2/{TARGET}/manifests/"
    return [
        one.path.removeprefix(prefix)
        for one in target.exchanges
        if one.method == "PUT"
        and one.path.startswith(prefix)
        and one.status == 201
        and ":" not in one.path
    ]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    seed_of_chance=st.integers(0, 1_000_000),
    failing=st.sampled_from([None, "0.1.0-beta.78", "0.0.9", "0.1.0-beta.77"]),
)
def test_no_floating_tag_ever_lands_before_its_exact_release(
    seed_of_chance: int, failing: str | None
) -> None:
    asyncio.run(_lands_in_order(seed_of_chance, failing))


async def _lands_in_order(seed_of_chance: int, failing: str | None) -> None:
    chance = random.Random(seed_of_chance)
    rules = [
        Rule(f"manifests/{tag}$", Delay(chance.random() / 20), times=None)
        for tags in RELEASES.values()
        for tag in tags
    ]
    if failing:
        rules.insert(0, Rule(f"PUT .*manifests/{failing}$", Respond(400), times=None))
    async with FakeRegistry() as source, FakeRegistry(faults=tuple(rules)) as target:
        names = list(RELEASES.items())
        chance.shuffle(names)
        for name, tags in names:
            seed(source.store, SOURCE, tags, single(f"order/{name}", sizes=(200,)))
        order = await landed(source, target)
    for exact, tags in RELEASES.items():
        floating = [tag for tag in tags if tag != exact and specificity(exact)]
        if exact == failing:
            assert exact not in order
            assert not set(floating) & set(order), "its floating tags wait"
        else:
            assert set(tags) <= set(order)
            assert all(order.index(exact) < order.index(tag) for tag in floating)


async def test_a_floating_tag_waits_for_a_new_release_that_could_not_be_looked_at() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        image = single("order/hidden")
        seed(source.store, SOURCE, ("1.2.3", "1.2", "latest"), image)
        seed(source.store, SOURCE, ("other", "0.9.0", "0.9"), single("order/older"))
        source.faults.add(Rule("(HEAD|GET) .*manifests/1.2.3$", Respond(400), times=2))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        first = await core.sync()
        assert set(first.failures) == {"1.2.3"}
        assert set(first.arrived) == {"0.9.0", "0.9", "other"}
        second = await core.sync()
        assert second.arrived[0] == "1.2.3"
        assert set(second.arrived) == {"1.2.3", "1.2", "latest"}


def test_a_release_that_cannot_be_looked_at_holds_up_no_tag_that_has_its_exact_one() -> None:
    a, b = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    look = Discovery(
        tags=(SourceTag("1.1.0", a), SourceTag("latest", a), SourceTag("0.9", b)),
        complete=True,
        via="tags_list",
        listed=frozenset({"1.1.0", "latest", "0.9", "1.2.0"}),
        failed=(TagFailure("1.2.0", Reason.SERVER_ERROR, "500"),),
    )
    plan = diff(look, {}, TagRules(), utcnow())
    assert {change.tag for change in plan.changes} == {"1.1.0", "latest", "0.9"}
