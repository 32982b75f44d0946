"""Sending what waits in the outbox: every channel by itself, within a span of time.

Messages of one rule, mirror and reason go out as one, however many tags they tell of: a robot takes
20 messages a minute, and a person fewer.
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
from mirror.history import REASONS, SAYINGS, filled

TIMEOUT = 10.0  # seconds for one message
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What came of the messages: how many went out, and the channels that failed with why."""

    sent: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


async def dispatch(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    clock: Callable[[], datetime],
    budget: float,
) -> Dispatched:
    """Send what is due, all channels at once, and give the rest back after `budget` seconds.

    A channel that fails keeps its messages, which are due again after 1, 2, 4... minutes, at most
    an hour; it does not hold up the others. Raises nothing of the channels.
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
    return Dispatched(sum(each.sent for each in rounds), failures)


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
        self.channel.pace.remember((now - at).total_seconds() for at in recent)
        # Taking again gives what was behind the messages that have just gone out.
        while taken := await asyncio.to_thread(self._outbox.take, self.channel.name, self._clock()):
            if not await self._send_all(gathered(taken)):
                break

    async def _send_all(self, batches: list[list[Delivery]]) -> bool:
        """Send messages while there is time, and give back the others; True if all went out."""
        good = True
        while good and batches and self._room():
            good = await self._send(batches.pop(0))
        rest = [delivery for batch in batches for delivery in batch]
        await asyncio.to_thread(self._outbox.untried, rest, self._clock())
        return good and not rest

    def _left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()

    def _room(self) -> bool:
        """Whether the channel takes a message before the time is over."""
        return self.channel.pace.delay() < self._left()

    async def _send(self, batch: Sequence[Delivery]) -> bool:
        """Send one message; False when the channel should be left alone for now."""
        now = self._clock()
        try:
            await self.channel.send(compose(batch, now), now, min(TIMEOUT, self._left()))
        except PartlyRefused as error:
            self.failure = str(error)
            await asyncio.to_thread(self._outbox.sent, batch, now, str(error))
        except NotifyError as error:
            self.failure = str(error)
            wait = min(FIRST_WAIT * 2 ** (batch[0].attempts - 1), LONGEST_WAIT)
            if isinstance(error, TooFast):
                wait = timedelta(seconds=error.retry_after)
            await asyncio.to_thread(self._outbox.again, batch, now + wait, str(error))
            return not isinstance(error, TooFast | Unreachable)
        else:
            await asyncio.to_thread(self._outbox.sent, batch, now)
        self.sent += 1
        return True


def gathered(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """Deliveries that one message can tell of, in the order of the first of each."""
    batches: dict[tuple[object, ...], list[Delivery]] = {}
    for delivery in deliveries:
        about = (delivery.rule, delivery.mirror or delivery.subject, delivery.details.reason)
        batches.setdefault((*about, delivery.kind, delivery.severity), []).append(delivery)
    return list(batches.values())


def compose(batch: Sequence[Delivery], now: datetime) -> Message:
    """The message for deliveries that were gathered."""
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
