"""DingTalk group robots (`oapi.dingtalk.com/robot/send`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from mirror.alerts.channels import robot
from mirror.alerts.channels.credentials import secret
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.render import markdown, text, title
from mirror.config import DingTalkOptions
from mirror.outside_text import keep_secret

LIMIT_BYTES = 16_000  # our own: the robot accepts about 20,000 in a body
_TOO_FAST = (130101,)
_HINTS = {310000: "check the secret, this machine's clock, and the robot's keywords and addresses"}


def sign(secret_key: str, at: datetime) -> tuple[str, str]:
    """The milliseconds' timestamp and the signature of a request at that time.

    base64(HMAC-SHA256(key=secret, message="timestamp\\nsecret")), to be URL-encoded once.
    """
    timestamp = str(round(at.timestamp() * 1000))
    digest = hmac.digest(secret_key.encode(), f"{timestamp}\n{secret_key}".encode(), hashlib.sha256)
    return timestamp, base64.b64encode(digest).decode()


class DingTalk:
    """Sends messages to a DingTalk group."""

    def __init__(
        self, name: str, options: DingTalkOptions, limiter: MessageLimiter | None = None
    ) -> None:
        self.name = name
        self.limiter = limiter or robot.robot_limiter()
        self._options = options

    async def send(self, message: Message, at: datetime, timeout: float = robot.TIMEOUT) -> None:
        """Send one message, signed for `at`, within `timeout` seconds. Raises NotifyError."""
        token = secret(self.name, self._options.token_env)
        query = {"access_token": token}
        if self._options.secret_env is not None:
            key = secret(self.name, self._options.secret_env)
            query["timestamp"], query["sign"] = sign(key, at)
            keep_secret(query["sign"])
        await self.limiter.wait()
        answer = await robot.post(
            self.name,
            f"{self._options.url}/robot/send?{urlencode(query)}",
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
            return {"msgtype": "text", "text": {"content": text(message, LIMIT_BYTES)}}
        content = {"title": title(message), "text": markdown(message, LIMIT_BYTES)}
        return {"msgtype": "markdown", "markdown": content}
