"""What people type and paste into the compose builder: what it means, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page

from tests.website.generator import FULL, generated
from tests.website.oracle import as_meant, expected

# Text with every field in use, so that a pasted value is in the file.
IN_USE: dict[str, Any] = {
    **FULL,
    "executors": ["claude", "codex", "opencode"],
    "codexKey": "k",
    "claudeProvider": "custom",
    "claudeUrl": "https://example.com",
    "licenseKeyType": "custom",
    "licenseKey": "L",
    "codeServerAuth": "password",
    "codeServerPassword": "p",
    "codeServerHost": "0.0.0.0",
    "codeServerPublish": True,
    "https": True,
}
# What is pasted around a value: each has to leave the value alone.
AROUND = {
    "blanks": ("  ", " \t"),
    "line ends": ("\n", "\r\n"),
    "no-break space": ("\u00a0", "\u202f"),
    "ideographic space": ("\u3000", "\u3000"),
    "zero width": ("\u200b", "\u200d\u2060"),
    "byte order mark": ("\ufeff", "\ufeff"),
    "direction marks": ("\u202a", "\u202c\u200e"),
    "mixed": ("\ufeff \u3000\n", "\r\n\u200b "),
}
WANTED = {
    "httpPort": "8080",
    "workdirPath": "/srv/my repos",
    "containerName": "hagi.app_1",
    "imageTag": "0.1.0-beta.78",
    "puid": "1001",
    "pgid": "1002",
    "claudeToken": "sk-a\"b'c$d#e: f\\g",
    "claudeUrl": "https://example.com:8443/a/b?c=$d",
    "claudeSonnetModel": "claude-sonnet-4[1m]",
    "claudeOpusModel": "通义千问（大）",
    "claudeHaikuModel": "a/b:c",
    "codexKey": "${KEY}",
    "codexUrl": "http://10.0.0.1/v1",
    "openCodeModel": "anthropic/claude-sonnet-4",
    "openCodeConfigFile": "/srv/oc/opencode.json",
    "licenseKey": "AAAA-BBBB",
    "codeServerHost": "0.0.0.0",
    "codeServerPort": "40000",
    "codeServerPublishedPort": "40001",
    "httpsPort": "8443",
    "lanIp": "10.0.0.7",
}


@pytest.mark.parametrize("around", AROUND)
def test_what_surrounds_a_pasted_value_is_left_out(page: Page, around: str) -> None:
    before, after = AROUND[around]
    many = [{**IN_USE, field: f"{before}{value}{after}"} for field, value in WANTED.items()]
    for field, made in zip(WANTED, generated(page, many), strict=True):
        assert yaml.safe_load(made["compose"]) == expected({**IN_USE, field: WANTED[field]}), field
        assert made["errors"] == [], field


# Field, what is pasted, what it means.
PASTED = [
    ("httpPort", "８０８０", "8080"),
    ("httpPort", "08080", "8080"),
    ("puid", "１０００", "1000"),
    ("containerName", "ｈａｇｉ－ａｐｐ", "hagi-app"),
    ("containerName", '"hagi-app"', "hagi-app"),
    ("containerName", "“hagi‑app”", "hagi-app"),
    ("containerName", "hagi\u200b-app", "hagi-app"),
    ("imageTag", "0。1", "0.1"),
    ("imageTag", "‘latest’", "latest"),
    ("imageTag", "0.1.0–beta.78", "0.1.0-beta.78"),
    ("imageTag", "０．１", "0.1"),
    ("imageTag", "_internal", "_internal"),
    ("imageTag", "x" * 128, "x" * 128),
    ("claudeToken", '"sk-1",', "sk-1"),
    ("claudeToken", "sk-\ufeff1", "sk-1"),
    ("claudeToken", "ｓｋ－１", "sk-1"),
    ("claudeToken", "Bearer sk-1", "sk-1"),
    ("claudeToken", "Authorization: Bearer sk-1", "sk-1"),
    ("claudeToken", "ANTHROPIC_AUTH_TOKEN=sk-1", "sk-1"),
    ("claudeToken", 'export ANTHROPIC_AUTH_TOKEN="sk-1"', "sk-1"),
    ("claudeToken", 'ANTHROPIC_AUTH_TOKEN: "sk-1"', "sk-1"),
    ("claudeToken", "AB_CD==", "AB_CD=="),
    ("claudeToken", "'it''s", "'it''s"),
    ("codexKey", "CODEX_API_KEY=ck=", "ck="),
    ("licenseKey", "ＡＡ－１", "AA-1"),
    ("claudeUrl", "ｈｔｔｐｓ：／／example.com／a", "https://example.com/a"),
    ("claudeUrl", "<https://example.com>", "https://example.com"),
    ("claudeUrl", "ANTHROPIC_URL=https://example.com", "https://example.com"),
    ("codexUrl", "HTTPS://Example.com/v1", "HTTPS://Example.com/v1"),
    ("claudeOpusModel", "ｏｐｕｓ", "opus"),
    ("claudeOpusModel", "「opus」", "opus"),
    ("openCodeModel", "anthropic／claude", "anthropic/claude"),
    ("workdirPath", '"D:\\my code"', "D:\\my code"),
    ("workdirPath", "／srv／repos", "/srv/repos"),
    ("workdirPath", "Ｄ：＼code", "D:\\code"),
    ("workdirPath", "D：\\code", "D:\\code"),
    ("workdirPath", "～/code", "~/code"),
    ("workdirPath", "$HOME/code", "~/code"),
    ("workdirPath", "${HOME}/code", "~/code"),
    ("workdirPath", "/srv/资料（旧）", "/srv/资料（旧）"),
    ("openCodeConfigFile", "'/srv/opencode.json'", "/srv/opencode.json"),
    ("codeServerHost", "[::]", "::"),
    ("codeServerHost", "０．０．０．０", "0.0.0.0"),
    ("lanIp", "10。0。0。7", "10.0.0.7"),
    ("lanIp", "[fd00::7]", "fd00::7"),
    ("codeServerPassword", "p w\n", "p w"),
    ("codeServerPassword", "\ufeffp", "p"),
    ("codeServerPassword", ' "a\'b" $x ${Y} #c: d\ne ', ' "a\'b" $x ${Y} #c: d\ne '),
    ("codeServerPassword", "“密码”👨‍👩‍👧", "“密码”👨‍👩‍👧"),
]


@pytest.mark.parametrize(
    ("field", "pasted", "meaning"), PASTED, ids=[f"{field}: {text}" for field, text, _ in PASTED]
)
def test_a_pasted_value_means_what_it_shows(
    page: Page, field: str, pasted: str, meaning: str
) -> None:
    [made] = generated(page, [{**IN_USE, field: pasted}])
    assert as_meant(field, pasted) == meaning
    assert yaml.safe_load(made["compose"]) == expected({**IN_USE, field: meaning})
    assert made["errors"] == []


# Field, what is typed, the rule that it breaks.
REFUSED = [
    *(
        ("containerName", text, "containerName")
        for text in (
            "my app",
            "a",
            "应用",
            "a/b",
            "_x",
            "-x",
            ".x",
            "a:b",
            "/hagi",
            "a\nb",
            "a,b",
            "é1",
            "--name hagi",
            "container_name: hagi",
            "$HAGI",
            "ａ",
            "a\u200b",
            "hagi!",
            "@hagi",
        )
    ),
    *(
        ("imageTag", text, "tag")
        for text in (
            "0.1 beta",
            "-1",
            ".1",
            "标签",
            "0.1+build",
            "x" * 129,
            "0,1",
            "a\nb",
            "${TAG}",
        )
    ),
    *(
        ("imageTag", text, "tagOnly")
        for text in (
            "newbe36524/hagicode:0",
            "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode:0",
            "hagicode:0",
            ":0",
            "docker pull newbe36524/hagicode:0",
            "docker pull hagicode",
            "a/b",
            "sha256:" + "a" * 64,
            "0@sha256:" + "a" * 64,
        )
    ),
    ("httpPort", "8080:45000", "port"),
    ("httpPort", "80 80", "port"),
    ("httpPort", "八零", "port"),
    ("httpPort", "+80", "port"),
    ("httpPort", "8e3", "port"),
    ("httpPort", "0x50", "port"),
    ("httpPort", "45000/tcp", "port"),
    ("codeServerPort", "٤٠٠٠", "port"),
    ("puid", "uid=1000(me)", "number"),
    ("pgid", "-1", "number"),
    ("claudeToken", "你的 Token", "key"),
    ("claudeToken", "sk-1\nsk-2", "key"),
    ("claudeToken", "sk-1（测试）", "key"),
    ("codexKey", "sk-🔑", "key"),
    ("licenseKey", "许可证", "key"),
    ("claudeUrl", "example.com/a", "url"),
    ("claudeUrl", "ftp://example.com", "url"),
    ("claudeUrl", "https://", "url"),
    ("claudeUrl", "https:///a", "url"),
    ("claudeUrl", "https://a b.com", "url"),
    ("claudeUrl", "地址：https://example.com", "url"),
    ("claudeUrl", "[x](https://example.com)", "url"),
    ("codexUrl", "javascript:alert(1)", "url"),
    ("codexUrl", "https://example.com:99999", "url"),
    ("claudeSonnetModel", "a\nb", "line"),
    ("openCodeModel", "a\tb", "line"),
    ("workdirPath", "file:///srv/repos", "hostPath"),
    ("workdirPath", "https://example.com", "hostPath"),
    ("workdirPath", "%USERPROFILE%\\repos", "hostPath"),
    ("workdirPath", "$REPOS", "hostPath"),
    ("workdirPath", "/srv/a\nb", "hostPath"),
    ("workdirPath", "/srv/\x00a", "hostPath"),
    ("workdirPath", "\u200b\u3000", "required"),
    ("claudeToken", "\ufeff\n", "required"),
    ("codeServerPassword", " \u3000", "required"),
    ("openCodeAuthFile", "opencode.json", "jsonFile"),
    ("openCodeModelsFile", "/srv/a\nb.json", "jsonFile"),
    ("codeServerHost", "http://0.0.0.0", "host"),
    ("codeServerHost", "1.2.3.999", "host"),
    ("lanIp", "192.168.1.5:443", "address"),
    ("lanIp", "192.168.1.0/24", "address"),
    ("lanIp", "http://192.168.1.5", "address"),
    ("lanIp", "fe80::1%eth0", "address"),
    ("lanIp", "192.168.1", "address"),
]


@pytest.mark.parametrize(
    ("field", "typed", "rule"), REFUSED, ids=[f"{field}: {text!a}" for field, text, _ in REFUSED]
)
def test_what_cannot_work_breaks_one_rule_at_its_field(
    page: Page, field: str, typed: str, rule: str
) -> None:
    [made] = generated(page, [{**IN_USE, "codeServerPublish": False, field: typed}])
    assert made["errors"] == [{"field": field, "rule": rule}]
    # The preview stays a file of one value more, whatever it was.
    assert list(yaml.safe_load(made["compose"])["services"]) == ["hagicode", "https-proxy"]


def test_every_rule_has_words_in_both_languages(page: Page) -> None:
    words = json.loads(
        (Path(__file__).parents[2] / "site" / "data" / "builder-words.json").read_text("utf-8")
    )
    rules = {rule for _, _, rule in REFUSED} | {"differsFromRedirect", "servicePort"}
    for rule in rules:
        assert words[f"rule_{rule}"]["zh"].strip()
        assert words[f"rule_{rule}"]["en"].strip()


def test_code_server_is_not_published_at_the_port_that_https_redirects_from(page: Page) -> None:
    base = {**IN_USE, "codeServerPublishedPort": "80"}
    taken, free = generated(page, [base, {**base, "httpsPort": "8443"}])
    field = "codeServerPublishedPort"
    assert taken["errors"] == [{"field": field, "rule": "differsFromRedirect"}]
    assert free["errors"] == []
