"""Feishu group robots (`open.feishu.cn/open-apis/bot/v2/hook/<token>`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any
from urllib.parse import quote

from mirror.alerts.channels import robot
from mirror.alerts.channels.credentials import secret
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.render import text
from mirror.config import FeishuOptions
from mirror.outside_text import keep_secret

LIMIT_BYTES = 16_000  # our own: the robot accepts about 20,000 in a body
_TOO_FAST = (11232,)
_HINTS = {19021: "check the secret and this machine's clock", 19024: "check the robot's keywords"}


def sign(secret_key: str, at: datetime) -> tuple[str, str]:
    """The seconds' timestamp and the signature of a request at that time.

    base64(HMAC-SHA256(key="timestamp\\nsecret", message="")).
    """
    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(f"{timestamp}\n{secret_key}".encode(), b"", hashlib.sha256)
    return timestamp, base64.b64encode(digest).decode()


class Feishu:
    """Sends messages to a Feishu group."""

    def __init__(
        self, name: str, options: FeishuOptions, limiter: MessageLimiter | None = None
    ) -> None:
        self.name = name
        self.limiter = limiter or robot.robot_limiter()
        self._options = options

    async def send(self, message: Message, at: datetime, timeout: float = robot.TIMEOUT) -> None:
        """Send one message, signed for `at`, within `timeout` seconds. Raises NotifyError."""
        token = secret(self.name, self._options.token_env)
        body: dict[str, Any] = {
            "msg_type": "text",
            "content": {"text": text(message, LIMIT_BYTES)},
        }
        if self._options.secret_env is not None:
            key = secret(self.name, self._options.secret_env)
            body["timestamp"], body["sign"] = sign(key, at)
            keep_secret(body["sign"])
        await self.limiter.wait()
        address = f"{self._options.url}/open-apis/bot/v2/hook/{quote(token, safe='')}"
        answer = await robot.post(self.name, address, body, timeout)
        robot.check(
            self.name,
            answer,
            code="code",
            text="msg",
            too_fast=_TOO_FAST,
            hints=_HINTS,
        )
