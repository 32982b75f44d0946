"""Why a message did not go out.

NotifyError             a message did not reach its channel; `.channel` names it
├── NotConfigured       an environment variable is unset, or an address makes no sense
├── Unreachable         the host cannot be reached: name, connection, TLS, time
└── Refused             the host answered and did not take the message
    ├── PartlyRefused   some recipients got it: sending it again would repeat it to them
    └── TooFast         more messages than the channel takes; `.retry_after` in seconds
"""

from __future__ import annotations

from mirror.errors import MirrorError


class NotifyError(MirrorError):
    """A message did not reach its channel.

    The text is one line: channel, what happened, what to do; never a token or a password.
    """

    def __init__(self, channel: str, problem: str) -> None:
        super().__init__(f"{channel}: {problem}")
        self.channel = channel


class NotConfigured(NotifyError):
    """An environment variable is unset, or an address makes no sense."""


class Unreachable(NotifyError):
    """The host cannot be reached: name, connection, TLS or time."""


class Refused(NotifyError):
    """The host answered and did not take the message."""


class PartlyRefused(Refused):
    """Some recipients got the message and others were refused."""


class TooFast(Refused):
    """The channel takes no more messages for now; try again after `.retry_after` seconds."""

    def __init__(self, channel: str, problem: str, retry_after: float) -> None:
        super().__init__(channel, problem)
        self.retry_after = retry_after
