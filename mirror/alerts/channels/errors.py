"""Why a message did not go out.

NotifyError             a message did not reach its channel; `.channel` names it
├── NotConfigured       an environment variable is unset, or an address is invalid
├── Unreachable         the host cannot be reached: name, connection, TLS, timeout
└── Refused             the host answered and rejected the message
    ├── PartlyRefused   some recipients got it: a retry would send it to them again
    └── TooFast         more messages than the channel accepts; `.retry_after` in seconds
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
    """An environment variable is unset, or an address is invalid."""


class Unreachable(NotifyError):
    """The host cannot be reached: name, connection, TLS or timeout."""


class Refused(NotifyError):
    """The host answered and rejected the message."""


class PartlyRefused(Refused):
    """Some recipients got the message and others were refused."""


class TooFast(Refused):
    """The channel accepts no more messages for now; try again after `.retry_after` seconds."""

    def __init__(self, channel: str, problem: str, retry_after: float) -> None:
        super().__init__(channel, problem)
        self.retry_after = retry_after
