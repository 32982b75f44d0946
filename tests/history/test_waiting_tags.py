"""Tags that failed while a registry was away: which wait, and that they can be let go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror.history import PostgresRecorder, WaitingTag
from mirror.outcome import Reason, SourceTag
from tests.history.values import MINUTE, NOON, begin, change, copied, discovery, failed, plan, seen
from tests.support.records import MIRROR

NAME = MIRROR.name


async def _fail(recorder: PostgresRecorder, run: str, tag: str, reason: Reason) -> None:
    tried = change(tag)
    await recorder.discovered(run, NAME, discovery(SourceTag(tag, tried.digest)), plan(tried))
    await recorder.tag_started(run, NAME, tried)
    await recorder.tag_ended(run, NAME, failed(tried, reason, NOON), None)


@pytest.mark.parametrize("reason", list(Reason))
async def test_a_tag_waits_for_a_registry_if_that_was_away(
    recorder: PostgresRecorder, reason: Reason
) -> None:
    run = await begin(recorder)
    await _fail(recorder, run, "1.0", reason)
    away = {Reason.NETWORK, Reason.TIMEOUT, Reason.SERVER_ERROR, Reason.THROTTLED}
    waiting = [WaitingTag(NAME, "1.0", 1)] if reason in away else []
    assert await recorder.waiting_tags(NOON + MINUTE) == waiting
    assert await recorder.waiting_tags(NOON + timedelta(hours=2)) == [], "it is due by now"
    await recorder.due_at_once(NAME, ["1.0", "unknown"], NOON + MINUTE)
    assert await recorder.waiting_tags(NOON + MINUTE) == []
    known = (await recorder.known_tags(NAME))["1.0"]
    assert known.next_attempt_at == NOON + (MINUTE if waiting else 5 * MINUTE)
    assert known.attempts == 1


async def test_a_tag_that_arrived_waits_no_more(recorder: PostgresRecorder) -> None:
    run = await begin(recorder)
    await _fail(recorder, run, "1.0", Reason.NETWORK)
    await recorder.tag_ended(run, NAME, copied(change("1.0")), seen(change("1.0"), NOON))
    assert await recorder.waiting_tags(NOON) == []
