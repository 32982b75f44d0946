"""E-mail over SMTP with TLS and login.

Uses the standard library's smtplib rather than apprise, which reports a failure only as False: the
operator needs the server's own words (535, 550...).
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from mirror.alerts.channels.credentials import secret
from mirror.alerts.channels.errors import NotConfigured, PartlyRefused, Refused, Unreachable
from mirror.alerts.channels.message import Message
from mirror.alerts.channels.message_limiter import MessageLimiter
from mirror.alerts.channels.render import text, title
from mirror.alerts.channels.robot import TIMEOUT
from mirror.config import EmailOptions, Severity
from mirror.outside_text import one_line

LIMIT_BYTES = 64_000


class Email:
    """Sends messages to the addresses of one entry, in one mail."""

    def __init__(
        self, name: str, options: EmailOptions, limiter: MessageLimiter | None = None
    ) -> None:
        self.name = name
        self.limiter = limiter or MessageLimiter(
            60, 60.0
        )  # our own limit: mail servers publish none
        self._options = options

    async def send(self, message: Message, at: datetime, timeout: float = TIMEOUT) -> None:
        """Send one mail, dated `at`, to all addresses, within `timeout` seconds.

        Raises NotifyError; PartlyRefused when some of the addresses got it.
        """
        variable = self._options.password_env
        password = None if variable is None else secret(self.name, variable)
        if password is not None and not password.isascii():
            raise NotConfigured(
                self.name,
                f"{variable} contains non-ASCII characters, which SMTP logins do not support",
            )
        mail = compose(message, self._options, at)
        await self.limiter.wait()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(self._deliver, mail, password, timeout)
        except TimeoutError:
            raise Unreachable(
                self.name,
                f"{self._options.host}:{self._options.port} did not answer within {timeout:g} s;"
                " check smtp and the network",
            ) from None

    def _deliver(self, mail: EmailMessage, password: str | None, timeout: float) -> None:
        where = f"{self._options.host}:{self._options.port}"
        try:
            with self._connect(timeout) as server:
                if password is not None:
                    server.login(self._options.user or "", password)
                refused = server.send_message(mail)
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(self.name, f"{where} does not support it: {error}") from None
        except smtplib.SMTPAuthenticationError as error:
            raise Refused(
                self.name,
                f"{where} refused the login ({_said(error)}); check the password",
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise Refused(self.name, _recipients(where, error.recipients)) from None
        except smtplib.SMTPResponseException as error:
            raise Refused(
                self.name, f"{where} refused the mail ({_said(error)}); check its settings"
            ) from None
        except ssl.SSLError as error:
            raise Unreachable(
                self.name, f"{where}: TLS failed ({error.reason or error}); check smtp and ca_file"
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            problem = one_line(str(error) or type(error).__name__)
            raise Unreachable(
                self.name, f"{where} cannot be reached ({problem}); check smtp and the network"
            ) from None
        if refused:
            raise PartlyRefused(self.name, _recipients(where, refused))

    def _connect(self, timeout: float) -> smtplib.SMTP:
        options = self._options
        if options.insecure:
            return smtplib.SMTP(options.host, options.port, timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=options.ca_file)
        except OSError as error:
            raise NotConfigured(
                self.name, f"ca_file {options.ca_file} cannot be read ({error}); check its path"
            ) from None
        if options.implicit_tls:
            return smtplib.SMTP_SSL(options.host, options.port, timeout=timeout, context=context)
        server = smtplib.SMTP(options.host, options.port, timeout=timeout)
        try:
            server.starttls(context=context)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server


def compose(message: Message, options: EmailOptions, at: datetime) -> EmailMessage:
    """The mail for a message: UTF-8 text, marked as automatic (RFC 3834)."""
    mail = EmailMessage()
    mail["Subject"] = title(message)
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = make_msgid(domain=options.sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    if message.severity is Severity.CRITICAL:
        mail["Importance"] = "high"
    mail.set_content(text(message, LIMIT_BYTES))
    return mail


def _said(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return one_line(f"{error.smtp_code} {words}", 200)


def _recipients(where: str, refused: dict[str, tuple[int, bytes]]) -> str:
    answers = "; ".join(
        f"{address}: {code} {words.decode(errors='replace')}"
        for address, (code, words) in sorted(refused.items())
    )
    return f"{where} refused recipients ({one_line(answers, 300)}); check to"
