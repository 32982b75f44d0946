"""E-mail goes out over TLS with a login, to a real SMTP server."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable

import pytest

from mirror.alerts.channels.errors import NotConfigured, PartlyRefused, Refused, Unreachable
from mirror.alerts.channels.mail import Email
from mirror.alerts.channels.message import Event, Message
from mirror.config.channels import EmailOptions
from mirror.outcome import utcnow
from tests.alerts.mail_server import PASSWORD, USER, Mailbox, serve_mail

MakeMessage = Callable[..., Message]
LOGIN = "mirror%40example.com@"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that holds the password."""
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)


def email(
    mailbox: Mailbox, scheme: str, ca_file: str | None, to: tuple[str, ...] = ("ops@example.com",)
) -> Email:
    """A channel that logs in to the server."""
    return Email(
        "email",
        EmailOptions(
            smtp=f"{scheme}://{LOGIN}localhost:{mailbox.port}",
            password_env="SMTP_PASSWORD",
            sender="mirror@example.com",
            to=to,
            ca_file=ca_file,
        ),
    )


async def test_a_mail_arrives_over_tls_after_a_login(
    message: MakeMessage, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    to = ("ops@example.com", "night@example.com")
    async with serve_mail(Mailbox(), implicit=server_tls, starttls=None) as mailbox:
        await email(mailbox, "smtps", ca_file, to).send(message(), utcnow())
    [mail] = mailbox.mails
    assert mailbox.logins == [USER]
    assert mailbox.recipients == [["ops@example.com", "night@example.com"]]
    assert mail["Subject"].startswith("[严重 CRITICAL] hagicode-aliyun")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert "标签重试后仍同步失败" in mail.get_content()
    assert "check the target's credential" in mail.get_content()


async def test_a_mail_arrives_over_starttls_after_a_login(
    message: MakeMessage, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    async with serve_mail(Mailbox(), starttls=server_tls) as mailbox:
        await email(mailbox, "smtp", ca_file).send(message(Event.RECOVERED), utcnow())
    assert mailbox.logins == [USER]
    assert mailbox.mails[0]["Subject"].startswith("[恢复 RECOVERED]")


async def test_a_refused_login_is_an_error_that_does_not_show_the_password(
    message: MakeMessage,
    server_tls: ssl.SSLContext,
    ca_file: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SMTP_PASSWORD", "an old password")
    async with serve_mail(Mailbox(), implicit=server_tls, starttls=None) as mailbox:
        with pytest.raises(Refused, match=r"refused the login \(535.*check the password") as error:
            await email(mailbox, "smtps", ca_file).send(message(), utcnow())
    assert "an old password" not in str(error.value) + caplog.text
    assert mailbox.mails == []


async def test_a_login_is_never_sent_without_tls(message: MakeMessage, ca_file: str) -> None:
    async with serve_mail(Mailbox(), starttls=None) as mailbox:
        with pytest.raises(Refused, match=r"STARTTLS"):
            await email(mailbox, "smtp", ca_file).send(message(), utcnow())
    assert mailbox.logins == []


async def test_a_relay_without_tls_must_be_asked_for(message: MakeMessage) -> None:
    async with serve_mail(Mailbox(), starttls=None) as mailbox:
        options = EmailOptions(
            smtp=f"smtp://localhost:{mailbox.port}",
            sender="mirror@example.com",
            to=("ops@example.com",),
            insecure=True,
        )
        await Email("email", options).send(message(), utcnow())
    assert len(mailbox.mails) == 1


async def test_a_certificate_of_an_unknown_authority_is_refused(
    message: MakeMessage, server_tls: ssl.SSLContext
) -> None:
    async with serve_mail(Mailbox(), implicit=server_tls, starttls=None) as mailbox:
        with pytest.raises(Unreachable, match=r"TLS failed"):
            await email(mailbox, "smtps", None).send(message(), utcnow())
    assert mailbox.logins == []


async def test_refused_recipients_are_named(
    message: MakeMessage, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    mailbox = Mailbox(refused=("ops@example.com",))
    async with serve_mail(mailbox, implicit=server_tls, starttls=None):
        with pytest.raises(Refused, match=r"ops@example.com: 550"):
            await email(mailbox, "smtps", ca_file).send(message(), utcnow())
    assert mailbox.mails == []


async def test_what_is_quoted_of_a_refusal_ends_with_no_part_of_the_password(
    message: MakeMessage, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    mailbox = Mailbox(refused=("ops@example.com",), because=f"{'x' * 268} {PASSWORD}")
    async with serve_mail(mailbox, implicit=server_tls, starttls=None):
        with pytest.raises(Refused, match=r"ops@example.com: 550") as raised:
            await email(mailbox, "smtps", ca_file).send(message(), utcnow())
    assert "p4ss" not in str(raised.value)


async def test_one_refused_recipient_does_not_keep_it_from_the_others(
    message: MakeMessage, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    mailbox = Mailbox(refused=("gone@example.com",))
    to = ("ops@example.com", "gone@example.com")
    async with serve_mail(mailbox, implicit=server_tls, starttls=None):
        with pytest.raises(PartlyRefused, match=r"gone@example.com: 550"):
            await email(mailbox, "smtps", ca_file, to).send(message(), utcnow())
    assert mailbox.recipients == [["ops@example.com"]]


async def test_a_server_that_says_nothing_is_given_up_in_time(
    message: MakeMessage, ca_file: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mailbox = Mailbox(port=silent.getsockname()[1])
        with pytest.raises(Unreachable, match=r"localhost"):
            await email(mailbox, "smtps", ca_file).send(message(), utcnow(), timeout=0.3)


async def test_an_unset_password_and_a_missing_ca_file_are_named(
    message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotConfigured, match=r"ca_file /nowhere/ca.pem cannot be read"):
        await email(Mailbox(port=1), "smtps", "/nowhere/ca.pem").send(message(), utcnow())
    monkeypatch.delenv("SMTP_PASSWORD")
    with pytest.raises(NotConfigured, match=r"SMTP_PASSWORD is not set"):
        await email(Mailbox(port=1), "smtps", None).send(message(), utcnow())


async def test_a_password_that_smtp_cannot_carry_is_an_error_that_does_not_show_it(
    message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "密码")
    with pytest.raises(
        NotConfigured, match=r"SMTP_PASSWORD contains non-ASCII characters"
    ) as error:
        await email(Mailbox(port=1), "smtps", None).send(message(), utcnow())
    assert "密码" not in str(error.value)
