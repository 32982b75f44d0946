"""Sends what waits in the outbox, each channel independently, within a time budget.

All tags of one rule, mirror and reason share a message: a robot accepts 20 messages a minute, and a
person fewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mirror.alerts.channels import (
    Channel,
    Event,
    Message,
    NotifyError,
    PartlyRefused,
    TooFast,
    Unreachable,
)
from mirror.alerts.links import run_link
from mirror.alerts.outbox import Delivery, Outbox
from mirror.config import KNOWN_RULES, AlertRule
from mirror.history import CONSEQUENCES, REASONS, SAYINGS, Bilingual, filled

TIMEOUT = 10.0  # seconds for one message
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """How many messages went out, and the error of each channel that failed."""

    sent: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


async def dispatch(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    clock: Callable[[], datetime],
    budget: float,
) -> DispatchResult:
    """Send what is due, all channels at once, and release the rest after `budget` seconds.

    A channel that fails keeps its messages, which are due again after 1, 2, 4... minutes, at most
    an hour; it does not delay the others. Channel errors are in the result, not raised.
    """
    deadline = asyncio.get_running_loop().time() + budget
    await asyncio.to_thread(outbox.give_up, set(channels), clock())
    waiting = await asyncio.to_thread(outbox.waiting, clock())
    rounds = [
        _Round(outbox, channel, clock, deadline)
        for name, channel in channels.items()
        if name in waiting
    ]
    await asyncio.gather(*(each.run() for each in rounds))
    failures = {each.channel.name: each.failure for each in rounds if each.failure}
    return DispatchResult(sum(each.sent for each in rounds), failures)


class _Round:
    """One channel's messages in one dispatch."""

    def __init__(
        self, outbox: Outbox, channel: Channel, clock: Callable[[], datetime], deadline: float
    ) -> None:
        self.channel = channel
        self.sent = 0
        self.failure: str | None = None
        self._outbox = outbox
        self._clock = clock
        self._deadline = deadline

    async def run(self) -> None:
        now = self._clock()
        recent = await asyncio.to_thread(self._outbox.recent, self.channel.name, now - MINUTE)
        self.channel.limiter.remember((now - at).total_seconds() for at in recent)
        # Messages queued behind those just sent become available only now.
        while taken := await asyncio.to_thread(self._outbox.take, self.channel.name, self._clock()):
            if not await self._send_all(group(taken)):
                break

    async def _send_all(self, batches: list[list[Delivery]]) -> bool:
        """Send messages while time is left and release the others; True if all went out."""
        good = True
        while good and batches and self._in_time():
            good = await self._send(batches.pop(0))
        rest = [delivery for batch in batches for delivery in batch]
        await asyncio.to_thread(self._outbox.release, rest, self._clock())
        return good and not rest

    def _left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()

    def _in_time(self) -> bool:
        """Whether the channel's limiter admits a message before the deadline."""
        return self.channel.limiter.delay() < self._left()

    async def _send(self, batch: Sequence[Delivery]) -> bool:
        """Send one message; False if the channel should get no more for now."""
        now = self._clock()
        try:
            await self.channel.send(compose(batch, now), now, min(TIMEOUT, self._left()))
        except PartlyRefused as error:
            self.failure = str(error)
            await asyncio.to_thread(self._outbox.mark_sent, batch, now, str(error))
        except NotifyError as error:
            self.failure = str(error)
            wait = min(FIRST_RETRY * 2 ** (batch[0].attempts - 1), LONGEST_RETRY)
            if isinstance(error, TooFast):
                wait = timedelta(seconds=error.retry_after)
            await asyncio.to_thread(self._outbox.retry_later, batch, now + wait, str(error))
            return not isinstance(error, TooFast | Unreachable)
        else:
            await asyncio.to_thread(self._outbox.mark_sent, batch, now)
        self.sent += 1
        return True


def group(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """Deliveries that share a message, in the order of the first of each."""
    batches: dict[tuple[object, ...], list[Delivery]] = {}
    for delivery in deliveries:
        about = (delivery.rule, delivery.mirror or delivery.subject, delivery.details.reason)
        batches.setdefault((*about, delivery.kind, delivery.severity), []).append(delivery)
    return list(batches.values())


def compose(batch: Sequence[Delivery], now: datetime) -> Message:
    """The message of a group of deliveries."""
    first = batch[0]
    sayings = SAYINGS[first.rule]
    tags = tuple(dict.fromkeys(tag for delivery in batch for tag in delivery.details.tags))
    facts = max(batch, key=lambda delivery: delivery.details.facts.get("delay_minutes") or 0)
    over = first.kind is Event.RECOVERED
    ends = [delivery.closed_at for delivery in batch if delivery.closed_at]
    return Message(
        event=first.kind,
        severity=first.severity,
        what=filled(
            sayings.over if over else sayings.holds, facts.details.facts, max(len(tags), 1)
        ),
        advice=sayings.advice,
        since=min(delivery.details.since for delivery in batch),
        at=max(ends) if over and ends else now,
        mirror=first.mirror or ", ".join(first.details.mirrors) or None,
        tags=tags,
        consequences=_consequences(batch),
        reason=None if first.details.reason is None else REASONS[first.details.reason],
        errors=()
        if over
        else tuple(
            dict.fromkeys(delivery.details.error for delivery in batch if delivery.details.error)
        ),
        link=next(
            (
                link
                for delivery in reversed(batch)
                if (link := run_link(delivery.details.flow_run_id))
            ),
            None,
        ),
    )


def _consequences(batch: Sequence[Delivery]) -> tuple[Bilingual, ...]:
    """What the causes of a batch have brought about, a sentence for each rule."""
    subjects: dict[AlertRule, set[str]] = {}
    for delivery in batch:
        for rule, named in delivery.details.consequences.items():
            if rule not in KNOWN_RULES:
                continue
            subjects.setdefault(AlertRule(rule), set()).update(named)
    return tuple(
        filled(CONSEQUENCES[rule], {}, len(subjects[rule]))
        for rule in CONSEQUENCES
        if rule in subjects
    )
