"""Every other service, through an apprise URL."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from datetime import datetime

from mirror.alerts.channels.credentials import secret
from mirror.alerts.channels.errors import NotConfigured, Refused, Unreachable
from mirror.alerts.channels.message import Event, Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.render import text, title
from mirror.alerts.channels.robot import TIMEOUT
from mirror.config import AppriseOptions, Severity
from mirror.outside_text import keep_secret, one_line

LIMIT_BYTES = 16_000  # apprise splits or cuts further where a service takes less
_LOGGERS = ("apprise", "urllib3.connectionpool")  # at DEBUG both log whole URLs
_TOKEN_LENGTH = 16  # characters; shorter pieces of a URL may be words
_ONE_AT_A_TIME = threading.Lock()


class AppriseChannel:
    """Sends messages through apprise, which supports more than a hundred services."""

    def __init__(
        self, name: str, options: AppriseOptions, limiter: MessageLimiter | None = None
    ) -> None:
        self.name = name
        self.limiter = limiter or MessageLimiter(20, 60.0)
        self._options = options

    async def send(self, message: Message, at: datetime, timeout: float = TIMEOUT) -> None:
        """Send one message within `timeout` seconds; the service dates it, so `at` is not used.

        Raises NotifyError.
        """
        url = secret(self.name, self._options.url_env)
        keep_secret(*(piece for piece in _pieces(url) if len(piece) >= _TOKEN_LENGTH))
        await self.limiter.wait()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(self._deliver, url, message)
        except TimeoutError:
            raise Unreachable(
                self.name, f"the service did not answer within {timeout:g} s; check the network"
            ) from None

    def _deliver(self, url: str, message: Message) -> None:
        # Importing apprise takes a fifth of a second.
        from apprise import Apprise, AppriseAsset, NotifyType

        kinds = {
            Severity.INFO: NotifyType.INFO,
            Severity.WARNING: NotifyType.WARNING,
            Severity.CRITICAL: NotifyType.FAILURE,
        }
        kind = NotifyType.SUCCESS if message.event is Event.RECOVERED else kinds[message.severity]
        with _ONE_AT_A_TIME, _CapturedLogs() as captured:
            service = Apprise(asset=AppriseAsset(app_id="hagicode-mirror"))
            if not service.add(url):
                raise NotConfigured(
                    self.name, f"{self._options.url_env} is not a URL that apprise supports"
                )
            sent = service.notify(
                title=title(message), body=text(message, LIMIT_BYTES), notify_type=kind
            )
        if not sent:
            said = one_line(" ".join(captured.lines), 300, also=_pieces(url))
            raise Refused(
                self.name,
                f"apprise could not send it ({said or 'no reason given'});"
                f" check {self._options.url_env}",
            )


class _CapturedLogs(logging.Filter):
    """While active, suppresses apprise's logs and keeps its warnings for the error message."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())
        return False

    def __enter__(self) -> _CapturedLogs:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)


def _pieces(url: str) -> list[str]:
    """The parts of an apprise URL that may be tokens: all but its schema."""
    _, _, rest = url.partition("://")
    return [piece for piece in re.split(r"[/:@?&=,\s]+", rest) if len(piece) > 3]
