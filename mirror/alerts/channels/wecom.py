"""WeCom group robots (`qyapi.weixin.qq.com/cgi-bin/webhook/send`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from mirror.alerts.channels import robot
from mirror.alerts.channels.credentials import secret
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.render import markdown, text
from mirror.config import WeComOptions

TEXT_BYTES = 2048
MARKDOWN_BYTES = 4096
_TOO_FAST = (45009,)
_HINTS = {93000: "check the key: the robot does not know it"}


class WeCom:
    """Sends messages to a WeCom group."""

    def __init__(
        self, name: str, options: WeComOptions, limiter: MessageLimiter | None = None
    ) -> None:
        self.name = name
        self.limiter = limiter or robot.robot_limiter()
        self._options = options

    async def send(self, message: Message, at: datetime, timeout: float = robot.TIMEOUT) -> None:
        """Send one message within `timeout` seconds. WeCom has no signatures, so `at` is not used.

        Raises NotifyError.
        """
        key = secret(self.name, self._options.key_env)
        await self.limiter.wait()
        answer = await robot.post(
            self.name,
            f"{self._options.url}/cgi-bin/webhook/send?{urlencode({'key': key})}",
            self._body(message),
            timeout,
        )
        robot.check(
            self.name,
            answer,
            code="errcode",
            text="errmsg",
            too_fast=_TOO_FAST,
            hints=_HINTS,
        )

    def _body(self, message: Message) -> dict[str, Any]:
        if self._options.format == "text":
            return {"msgtype": "text", "text": {"content": text(message, TEXT_BYTES)}}
        return {"msgtype": "markdown", "markdown": {"content": markdown(message, MARKDOWN_BYTES)}}
