"""What `alerts:` may contain."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mirror.alerts.channels.channel import open_channels
from mirror.config import ChannelSettings, named
from mirror.config.channels import Severity

DINGTALK = {"dingtalk": {"token_env": "DINGTALK_TOKEN"}}


def entry(body: dict[str, Any]) -> ChannelSettings:
    """An entry as mirrors.yaml holds it."""
    return ChannelSettings.model_validate(body)


def email(**other: Any) -> dict[str, Any]:
    """An e-mail entry."""
    base = {"smtp": "smtps://me@mail.example", "password_env": "P", "sender": "a@b", "to": ["c@d"]}
    return {"email": {**base, **other}}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "names exactly one channel: dingtalk, feishu, wecom, email, apprise"),
        ({**DINGTALK, "apprise": {"url_env": "X"}}, "names exactly one channel"),
        ({"dingtalk": {"token_env": "T", "sekret_env": "S"}}, "Extra inputs"),
        ({"dingtalk": {"token_env": "https://oapi/robot?access_token=1"}}, "name of an env"),
        ({"wecom": {"key_env": "K", "url": "https://host/send?key=1"}}, "comes from the environ"),
        ({"wecom": {"key_env": "K", "url": "https://user:pw@host"}}, "is not the robot's host"),
        ({"wecom": {"key_env": "K", "url": "https://a host"}}, "is not the robot's host"),
        ({"wecom": {"key_env": "K", "url": "https://host:99999"}}, "is not the robot's host"),
        ({**DINGTALK, "severities": ["loud"]}, "'info', 'warning' or 'critical'"),
        ({**DINGTALK, "severities": []}, "at least 1"),
        (email(smtp="smtps://me:pw@mail.example"), "contains a password"),
        (email(smtp="mail.example:25"), "is not smtps://user@host:465"),
        (email(smtp="smtps://me@mail.example:port"), "is not smtps://user@host:465"),
        (email(smtp="smtps://me@mail.example/inbox"), "is not smtps://user@host:465"),
        (email(password_env=None), "a login needs the user in smtp and password_env"),
        (email(insecure=True), "no login without TLS"),
        (email(to=[]), "at least 1"),
        (email(to=["c@d\nBcc: x@y"]), "match pattern"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(body: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        entry(body)
    assert problem in str(error.value)


def test_entries_are_named_by_their_kind_unless_they_name_themselves() -> None:
    entries = (entry(DINGTALK), entry({**DINGTALK, "name": "night"}), entry(DINGTALK))
    assert list(named(entries)) == ["night", "dingtalk", "dingtalk-2"]
    assert [channel.name for channel in open_channels(named(entries)).values()] == list(
        named(entries)
    )


def test_two_entries_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="two entries are named night"):
        named((entry({**DINGTALK, "name": "night"}),) * 2)


def test_a_channel_gets_every_alert_unless_it_names_severities_or_mirrors() -> None:
    all_of_them = entry(DINGTALK)
    assert all_of_them.wants(Severity.INFO, ("a",))
    urgent = entry({**DINGTALK, "severities": ["critical"]})
    assert urgent.wants(Severity.CRITICAL, ("a",))
    assert not urgent.wants(Severity.WARNING, ("a",))
    one_mirror = entry({**DINGTALK, "mirrors": ["a"]})
    assert one_mirror.wants(Severity.INFO, ("a", "b"))
    assert not one_mirror.wants(Severity.INFO, ("b",))


def test_an_smtp_address_gives_host_port_and_user() -> None:
    options = entry(email(smtp="smtp://me%40x.example@mail.example")).email
    assert options is not None
    assert (options.host, options.port, options.user) == ("mail.example", 587, "me@x.example")
    assert not options.implicit_tls
