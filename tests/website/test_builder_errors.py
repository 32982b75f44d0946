"""What the compose builder says of values that cannot work, and when, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.website.builder import SECRET, WORDS, full, opened, take, tick

# What breaks each rule: the steps, the field that complains, the rule.
RULES: dict[str, tuple[list[tuple[str, str, Any]], str, str]] = {
    "no executor": ([("tick", "claude", False)], "executors", "executor"),
    "http port 0": ([("fill", "httpPort", "0")], "httpPort", "port"),
    "http port too high": ([("fill", "httpPort", "65536")], "httpPort", "port"),
    "http port no number": ([("fill", "httpPort", "80a")], "httpPort", "port"),
    "http port blank": ([("fill", "httpPort", "")], "httpPort", "port"),
    "http port negative": ([("fill", "httpPort", "-1")], "httpPort", "port"),
    "work directory blank": ([("fill", "workdirPath", "  ")], "workdirPath", "required"),
    "container name blank": ([("fill", "containerName", "")], "containerName", "required"),
    "image tag blank": ([("fill", "imageTag", " ")], "imageTag", "required"),
    "claude token blank": ([("fill", "claudeToken", "")], "claudeToken", "required"),
    "claude address blank": (
        [("select", "claudeProvider", "custom"), ("try", "", None)],
        "claudeUrl",
        "required",
    ),
    "codex key blank": ([("tick", "codex", True), ("try", "", None)], "codexKey", "required"),
    "puid no number": ([("fill", "puid", "root")], "puid", "number"),
    "pgid blank": ([("fill", "pgid", "")], "pgid", "number"),
    "licence key blank": (
        [("select", "licenseKeyType", "custom"), ("try", "", None)],
        "licenseKey",
        "required",
    ),
    "licence key blanked": (
        [
            ("select", "licenseKeyType", "custom"),
            ("fill", "licenseKey", "L"),
            ("fill", "licenseKey", "\u200b"),
        ],
        "licenseKey",
        "required",
    ),
    "container name with a blank": (
        [("fill", "containerName", "my app")],
        "containerName",
        "containerName",
    ),
    "container name of one letter": (
        [("fill", "containerName", "a")],
        "containerName",
        "containerName",
    ),
    "container name in Chinese": (
        [("fill", "containerName", "应用")],
        "containerName",
        "containerName",
    ),
    "container name with a slash": (
        [("fill", "containerName", "a/b")],
        "containerName",
        "containerName",
    ),
    "container name after an underscore": (
        [("fill", "containerName", "_x")],
        "containerName",
        "containerName",
    ),
    "image tag with a blank": ([("fill", "imageTag", "0.1 beta")], "imageTag", "tag"),
    "a whole reference as tag": (
        [("fill", "imageTag", "newbe36524/hagicode:0")],
        "imageTag",
        "tagOnly",
    ),
    "a command as tag": (
        [("fill", "imageTag", "docker pull newbe36524/hagicode:0")],
        "imageTag",
        "tagOnly",
    ),
    "claude token in Chinese": ([("fill", "claudeToken", "你的密钥")], "claudeToken", "key"),
    "claude address without scheme": (
        [("select", "claudeProvider", "custom"), ("fill", "claudeUrl", "example.com")],
        "claudeUrl",
        "url",
    ),
    "work directory an address": (
        [("fill", "workdirPath", "file:///srv")],
        "workdirPath",
        "hostPath",
    ),
    "code-server host an address": (
        [("fill", "codeServerHost", "http://::")],
        "codeServerHost",
        "host",
    ),
    "opencode file relative": (
        [("tick", "opencode", True), ("fill", "openCodeConfigFile", "opencode.json")],
        "openCodeConfigFile",
        "jsonFile",
    ),
    "opencode file no json": (
        [("tick", "opencode", True), ("fill", "openCodeAuthFile", "/srv/auth.yaml")],
        "openCodeAuthFile",
        "jsonFile",
    ),
    "https port 0": ([("check", "https", True), ("fill", "httpsPort", "0")], "httpsPort", "port"),
    "https port is the http port": (
        [("check", "https", True), ("fill", "httpsPort", "45000")],
        "httpsPort",
        "differsFromHttp",
    ),
    "lan address a name": (
        [("check", "https", True), ("fill", "lanIp", "my.lan")],
        "lanIp",
        "address",
    ),
    "lan address out of range": (
        [("check", "https", True), ("fill", "lanIp", "192.168.1.256")],
        "lanIp",
        "address",
    ),
    "code-server port is the service's": (
        [("fill", "codeServerPort", "45000")],
        "codeServerPort",
        "servicePort",
    ),
    "code-server port too high": (
        [("fill", "codeServerPort", "99999")],
        "codeServerPort",
        "port",
    ),
    "code-server published at loopback": (
        [("check", "codeServerPublish", True)],
        "codeServerHost",
        "everyAddress",
    ),
    "published port is the http port": (
        [
            ("fill", "codeServerHost", "0.0.0.0"),
            ("check", "codeServerPublish", True),
            ("fill", "codeServerPublishedPort", "45000"),
        ],
        "codeServerPublishedPort",
        "differsFromHttp",
    ),
    "published port is the https port": (
        [
            ("fill", "codeServerHost", "::"),
            ("check", "codeServerPublish", True),
            ("check", "https", True),
            ("fill", "codeServerPublishedPort", "443"),
        ],
        "codeServerPublishedPort",
        "differsFromHttps",
    ),
    "published port 0": (
        [
            ("fill", "codeServerHost", "::"),
            ("check", "codeServerPublish", True),
            ("fill", "codeServerPublishedPort", "0"),
        ],
        "codeServerPublishedPort",
        "port",
    ),
    "code-server password blank": (
        [("select", "codeServerAuth", "password"), ("try", "", None)],
        "codeServerPassword",
        "required",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_shown_at_its_field_and_blocks_copy_and_download(
    room: tuple[Page, str], rule: str
) -> None:
    steps, field, broken = RULES[rule]
    page = full(room, "zh")
    take(page, steps)
    place = page.locator(f"#error-{field}")
    expect(place).to_be_visible()
    expect(place).to_have_text(WORDS[f"rule_{broken}"]["zh"])
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    for button in ("#copy", "#download", "#copy-caddyfile", "#download-caddyfile"):
        expect(page.locator(button)).to_be_disabled()
    expect(page.locator("#verdict")).to_contain_text(WORDS[field]["zh"])
    # Only this field complains.
    assert page.locator("[data-error]:visible").count() == 1


def test_nobody_is_greeted_with_errors(room: tuple[Page, str], language: str) -> None:
    page = opened(room, language, "?profile=full-custom")
    complaints = page.locator("[data-error]:visible")
    expect(complaints).to_have_count(0)
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.locator("#verdict")).to_have_class("hc-verdict-box hc-verdict-box--waiting")
    expect(page.locator("#copy")).to_have_attribute("aria-disabled", "true")
    # What a choice shows anew is not wrong yet either.
    tick(page, "codex")
    expect(page.locator("#codexKey")).to_be_visible()
    expect(complaints).to_have_count(0)
    # Passing through a field and leaving it blank is reported there, and only there.
    page.focus("#workdirPath")
    page.keyboard.press("Tab")
    expect(complaints).to_have_count(1)
    expect(page.locator("#error-workdirPath")).to_be_visible()


def test_copying_too_early_lists_what_is_missing_and_leads_there(
    room: tuple[Page, str], language: str
) -> None:
    page = opened(room, language)
    page.evaluate("navigator.clipboard.writeText('before')")
    page.click("#copy", force=True)
    expect(page.locator("#verdict")).to_be_focused()
    expect(page.locator("#verdict a")).to_have_text(
        [WORDS["workdirPath"][language], WORDS["claudeToken"][language]]
    )
    expect(page.locator("[data-error]:visible")).to_have_count(2)
    assert page.evaluate("navigator.clipboard.readText()") == "before"
    page.locator("#verdict a").last.click()
    expect(page.locator("#claudeToken")).to_be_focused()
    page.keyboard.type(SECRET)
    expect(page.locator("[data-error]:visible")).to_have_count(1)


def test_a_click_that_leaves_a_blank_field_still_reaches_its_button(
    room: tuple[Page, str],
) -> None:
    page = full(room, "zh")
    tick(page, "codex")
    page.focus("#codexKey")
    page.check("#workdirCreatedByRoot")
    expect(page.locator("#workdirCreatedByRoot")).to_be_checked()
    expect(page.locator("#error-codexKey")).to_be_visible()
