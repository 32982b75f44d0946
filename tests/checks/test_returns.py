"""What failed while a registry was away is due once both sides answer again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from mirror.checks import Returns, both_answer
from mirror.config import MirrorSettings
from mirror.history import DatabaseAway, WaitingTag
from mirror.sync import open_clients
from tests.checks.settings import settings
from tests.support.fake_registry.faults import CutConnection, Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.virtual_time import VirtualTime

MIRRORS = {
    "a": ("source.test/team/a", "target.test/copy/a"),
    "b": ("source.test/team/b", "target.test/copy/b"),
    "c": ("source.test/team/c", "other.test/copy/c"),
}


@dataclass
class Scene:
    """Tags that wait, registries that answer or not, and what was made of it."""

    waiting: list[WaitingTag] = field(default_factory=list)
    away: set[str] = field(default_factory=set)  # registries
    history_away: bool = False
    asked: list[str] = field(default_factory=list)  # mirrors
    due: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)

    async def waiting_tags(self, now: datetime) -> Sequence[WaitingTag]:
        """Those that the test set."""
        if self.history_away:
            raise DatabaseAway("the history is away")
        return [*self.waiting]

    async def due_at_once(self, mirror: str, tags: Sequence[str], now: datetime) -> None:
        """They wait no more."""
        self.due.append((mirror, tuple(tags)))
        self.waiting = [one for one in self.waiting if (one.mirror, one.tag) not in self.all_due]

    @property
    def all_due(self) -> set[tuple[str, str]]:
        """Every tag that was let go, with its mirror."""
        return {(mirror, tag) for mirror, tags in self.due for tag in tags}

    async def answers(self, mirror: MirrorSettings, tag: str) -> bool:
        """Whether none of its registries is away."""
        self.asked.append(mirror.name)
        return not any(host in f"{mirror.source} {mirror.target}" for host in self.away)

    def start(self, name: str, source: str) -> None:
        """Note it."""
        self.started.append((name, source))

    def returns(self, time: VirtualTime | None = None) -> Returns:
        """What is tested."""
        clock = time.clock if time else None
        return Returns(settings(MIRRORS), self, self.answers, self.start, clock)


async def test_tags_wait_while_a_registry_is_away_and_are_due_once_it_answers() -> None:
    one, two = WaitingTag("a", "1.0", 3), WaitingTag("b", "2.0", 1)
    scene = Scene([one, two, WaitingTag("c", "3.0", 2)], away={"target.test"})
    returns = scene.returns()
    await returns.look()
    assert scene.due == [("c", ("3.0",))], "its registries answer"
    assert scene.started == [("c", "source.test/team/c")]
    await returns.look()
    scene.away.clear()
    await returns.look()
    assert scene.all_due == {("a", "1.0"), ("b", "2.0"), ("c", "3.0")}
    assert [name for name, _ in scene.started] == ["c", "a", "b"]
    asked = len(scene.asked)
    assert asked == 4, "mirrors of the same two registries are asked for by one of them"
    await returns.look()
    assert len(scene.asked) == asked, "nothing waits: nobody is asked"


async def test_a_source_that_is_away_counts_as_much_as_a_target() -> None:
    scene = Scene([WaitingTag("a", "1.0", 1)], away={"source.test"})
    returns = scene.returns()
    await returns.look()
    assert scene.due == []
    scene.away.clear()
    await returns.look()
    assert scene.due == [("a", ("1.0",))]


async def test_a_tag_that_fails_at_registries_that_answer_keeps_its_pace() -> None:
    scene = Scene([WaitingTag("a", "1.0", 1)])
    returns = scene.returns()
    await returns.look()
    assert scene.due == [("a", ("1.0",))]
    scene.due, scene.waiting = [], [WaitingTag("a", "1.0", 2)]
    for _ in range(5):
        await returns.look()
    assert scene.due == [], "it was tried again once, and nothing was away since"
    scene.away.add("target.test")
    await returns.look()
    scene.away.clear()
    await returns.look()
    assert scene.due == [("a", ("1.0",))]


async def test_a_first_failure_is_tried_again_although_nobody_saw_the_registry_away() -> None:
    scene = Scene([WaitingTag("a", "1.0", 1)])
    returns = scene.returns()
    await returns.look()
    scene.due, scene.waiting = [], [WaitingTag("a", "1.0", 2), WaitingTag("b", "2.0", 1)]
    await returns.look()
    assert scene.due == [("b", ("2.0",))]


async def test_tags_of_a_mirror_that_is_not_configured_any_more_are_left_alone() -> None:
    scene = Scene([WaitingTag("gone", "1.0", 1)])
    await scene.returns().look()
    assert not (scene.asked or scene.due or scene.started)


async def test_it_looks_every_ten_seconds_and_survives_a_history_that_is_away() -> None:
    time, scene = VirtualTime(), Scene([WaitingTag("a", "1.0", 1)], history_away=True)
    running = asyncio.create_task(scene.returns(time).run())
    await time.pass_until(35)
    assert not running.done()
    scene.history_away = False
    await time.pass_until(41)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert scene.due == [("a", ("1.0",))]


@pytest.mark.parametrize(
    ("at_source", "at_target", "answer"),
    [
        (None, None, True),
        (Respond(401), None, True),
        (None, Respond(403, "DENIED"), True),
        (None, Respond(503), False),
        (Respond(429, "TOOMANYREQUESTS"), None, False),
        (None, CutConnection(), False),
        (CutConnection(), None, False),
    ],
)
async def test_a_registry_answers_if_it_says_anything_but_that_it_cannot(
    at_source: Respond | CutConnection | None,
    at_target: Respond | CutConnection | None,
    answer: bool,
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        for registry, behaviour in ((source, at_source), (target, at_target)):
            if behaviour is not None:
                registry.faults.add(Rule("", behaviour, times=None))
        config = settings({"m": (f"{source.host}/team/app", f"{target.host}/copy/app")})
        mirror = config.mirror("m")
        async with open_clients(config, mirror) as clients:
            assert await both_answer(clients, mirror, "1.0") is answer
