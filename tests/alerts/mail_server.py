"""A real SMTP server (aiosmtpd) on loopback, with TLS by trustme and a login."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "mirror@example.com", "p4ss word/of@mail"


@dataclass
class Mailbox:
    """What the server took, and whom it refuses."""

    refused: tuple[str, ...] = ()
    because: str = "no such user here"
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    host: str = "localhost"
    port: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """550 for those that are refused."""
        if address in self.refused:
            return f"550 {self.because}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail."""
        content = cast(bytes, envelope.content)
        self.mails.append(message_from_bytes(content, policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """535 for any other login than USER's."""
        login = cast(LoginPassword, data)
        good = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append(login.login.decode())
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def serve_mail(
    mailbox: Mailbox, *, implicit: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None
) -> AsyncIterator[Mailbox]:
    """The server on a free port: implicit TLS, STARTTLS, or without either no TLS at all."""
    secure = implicit is not None or starttls is not None

    def session() -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd warns of logins without TLS: it does not know that its listener is TLS.
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                mailbox,
                hostname="localhost",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=mailbox.authenticate,
                auth_required=secure,
                auth_require_tls=starttls is not None,
            )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=implicit)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
