"""The compose file for many choices, made in Chromium and compared with the facts key by key."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from playwright.sync_api import Browser, Page

from tests.website.conftest import Reader, Sites
from tests.website.npm import installed
from tests.website.oracle import DEFAULTS, PUBLIC_KEY, as_meant, escaped, expected

WHEN = "2026-11-24T08:05:09.700Z"
WELL: dict[str, Any] = {"workdirPath": "/srv/repos", "claudeToken": "sk-1"}
FULL: dict[str, Any] = {**WELL, "profile": "full-custom"}

HOSTILE = {
    "quotes": "a\"b'c`d",
    "backslash": "a\\b\\nc\\",
    "newlines": "a\nb\r\nc",
    "tab": "a\tb",
    "variable": "${HOME} $HOME $$ $",
    "comment": "a: #b",
    "mapping": "evil: true\n  privileged: true",
    "list": "- [a, {b: c}] & *d !!e | > % @",
    "spaces": "  a  ",
    "replacement": "$& $1 $` $'",
    "emoji": "𠮷野家🐳 𝕏",
    "separators": "a\u2028b\u2029c\u0085d\ufeffe",
    "controls": "a\x00b\x07c\x1bd\x7fe\x9ff",
    "document": "---\n...\n%YAML 1.2",
    "yes": "yes",
    "number": "0123",
    "tilde": "~",
    "date": "2026-11-24",
}
TYPED = (
    "containerName",
    "imageTag",
    "workdirPath",
    "licenseKey",
    "claudeToken",
    "claudeUrl",
    "claudeSonnetModel",
    "claudeOpusModel",
    "claudeHaikuModel",
    "codexKey",
    "codexUrl",
    "openCodeModel",
    "codeServerPassword",
    "codeServerHost",
)


@pytest.fixture(scope="module")
def page(browser: Browser, sites: Sites) -> Iterator[Page]:
    with ExitStack() as stack:
        yield Reader(browser, sites, stack).open("compose-builder/", sample="empty")


def generated(page: Page, many: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the generator makes of each options object, in the page that uses it."""
    answer: list[dict[str, Any]] = page.evaluate(
        """async ([many, when]) => {
            const { generate } = await import(new URL("../assets/compose.js", location));
            const facts = JSON.parse(document.getElementById("facts").textContent);
            return many.map((options) => generate(options, facts, new Date(when)));
        }""",
        [many, WHEN],
    )
    return answer


def combinations() -> list[dict[str, Any]]:
    """Every source, executor set, provider and profile with switches on and off: 77 of them."""
    executors = [
        list(chosen)
        for size in (1, 2, 3)
        for chosen in itertools.combinations(("claude", "codex", "opencode"), size)
    ]
    base = {**WELL, "codexKey": "ck", "claudeUrl": "https://example.com/a"}
    many: list[dict[str, Any]] = [
        {**base, "profile": profile, "source": source, "executors": chosen}
        for profile in ("quick-start", "full-custom")
        for source in ("aliyun-acr", "docker-hub", "azure-acr")
        for chosen in executors
    ]
    many += [
        {**base, "claudeProvider": provider, "acceptEula": accepted}
        for provider in ("zai", "aliyun", "minimax", "volcengine", "anthropic", "custom")
        for accepted in (True, False)
    ]
    full = {**base, "profile": "full-custom"}
    many += [
        {**full, "hostOS": "windows", "workdirPath": "D:\\code"},
        {**full, "hostOS": "windows", "workdirPath": "C:/code"},
        {**full, "hostOS": "windows", "workdirPath": ""},
        {**full, "workdirCreatedByRoot": True},
        {**full, "puid": "0", "pgid": "4294967294"},
        {**full, "licenseKeyType": "custom", "licenseKey": "MINE-1"},
        {**full, "https": True},
        {**full, "https": True, "httpsPort": "8443", "lanIp": "10.0.0.7"},
        {**full, "https": True, "httpsPort": "8443", "lanIp": "fd00::7"},
        {**full, "codeServer": False},
        {**full, "codeServerAuth": "password", "codeServerPassword": "p w"},
        {
            **full,
            "codeServerHost": "0.0.0.0",
            "codeServerPublish": True,
            "codeServerPublishedPort": "40001",
        },
        {
            **full,
            "https": True,
            "codeServerHost": "::",
            "codeServerPublish": True,
            "codeServerPort": "40002",
        },
        {**full, "claudeSonnetModel": "s", "claudeOpusModel": "o", "claudeHaikuModel": "h"},
        {**full, "claudeAgentTeams": True},
        {**full, "executors": ["opencode"], "openCodeModel": "x/y"},
        {**full, "executors": ["opencode"], "openCodeConfigFile": "/srv/opencode.json"},
        {**full, "executors": ["codex"], "codexUrl": "https://example.com/codex"},
        {**full, "imageTag": "0.1.0-beta.78", "containerName": "hagi", "httpPort": "8080"},
    ]
    return many


def schema() -> dict[str, Any]:
    """The Compose specification's JSON schema."""
    path = installed("dclint") / "schemas" / "compose.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_each_combination_is_exactly_what_the_facts_say(page: Page) -> None:
    many = combinations()
    assert len(many) >= 40
    validator = jsonschema.Draft7Validator(schema())
    for options, made in zip(many, generated(page, many), strict=True):
        document = yaml.safe_load(made["compose"])
        wanted = expected(options)
        assert document == wanted, options
        assert list(document) == ["services", "volumes", "networks"]
        assert list(document["services"]["hagicode"]) == list(wanted["services"]["hagicode"])
        environment = document["services"]["hagicode"]["environment"]
        assert list(environment) == list(wanted["services"]["hagicode"]["environment"]), options
        assert list(document["volumes"]) == list(wanted["volumes"])
        validator.validate(document)
        if options["workdirPath"]:
            assert made["errors"] == [], options


def test_without_a_choice_it_is_the_default_file_and_says_what_is_missing(page: Page) -> None:
    [made] = generated(page, [{}])
    assert yaml.safe_load(made["compose"]) == expected({})
    assert made["errors"] == [
        {"field": "workdirPath", "rule": "required"},
        {"field": "claudeToken", "rule": "required"},
    ]
    assert made["caddyfile"] is None


def test_it_begins_with_title_generator_time_and_where_to_ask(page: Page) -> None:
    [made] = generated(page, [WELL])
    head = made["compose"].split("\n\n")[0].splitlines()
    assert head[0] == "# Hagicode Docker Compose Configuration"
    assert head[1].startswith("# Generated by: ")
    assert head[2] == "# Generated at: 2026-11-24 08:05:09 UTC"
    assert any("610394020" in line for line in head)
    assert any("discord.gg/qY662sJK" in line for line in head)


def test_the_same_choices_give_the_same_bytes(page: Page) -> None:
    first, second = generated(page, [FULL, dict(reversed(FULL.items()))])
    assert first == second


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_values_stay_values(page: Page, kind: str) -> None:
    typed = HOSTILE[kind]
    base = {
        **FULL,
        "executors": ["claude", "codex", "opencode"],
        "codexKey": "k",
        "claudeProvider": "custom",
        "claudeUrl": "https://example.com",
        "licenseKeyType": "custom",
        "licenseKey": "L",
        "codeServerAuth": "password",
        "codeServerPassword": "p",
    }
    many = [{**base, field: typed} for field in TYPED]
    validator = jsonschema.Draft7Validator(schema())
    for field, options, made in zip(TYPED, many, generated(page, many), strict=True):
        document = yaml.safe_load(made["compose"])
        if field == "workdirPath":
            # Not an absolute path, so it is in the long form, where a colon is only a colon.
            mount = document["services"]["hagicode"]["volumes"].pop(0)
            source = escaped(as_meant("workdirPath", typed))
            assert mount == {"type": "bind", "source": source, "target": "/app/workdir"}
            wanted = expected({**options, field: "/x"})
            wanted["services"]["hagicode"]["volumes"].pop(0)
        else:
            wanted = expected(options)
        assert document == wanted, field
        if field != "containerName":  # the schema has a pattern for names, Docker refuses others
            validator.validate(document)


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


@pytest.mark.parametrize(
    "path", ["/srv/a b", "/srv/𠮷", "/srv/$x", "~/code", "./code", "../c", "D:\\c"]
)
def test_a_path_is_written_in_the_short_form(page: Page, path: str) -> None:
    [made] = generated(page, [{**FULL, "workdirPath": path}])
    mounts = yaml.safe_load(made["compose"])["services"]["hagicode"]["volumes"]
    assert mounts[0] == escaped(path) + ":/app/workdir"


@pytest.mark.parametrize("path", ["/srv/a:ro", "repos", "/a: #b", "C:code"])
def test_a_path_that_the_short_form_would_misread_is_written_in_the_long_form(
    page: Page, path: str
) -> None:
    [made] = generated(page, [{**FULL, "workdirPath": path}])
    mounts = yaml.safe_load(made["compose"])["services"]["hagicode"]["volumes"]
    assert mounts[0] == {"type": "bind", "source": path, "target": "/app/workdir"}


def test_quick_start_ignores_what_only_the_full_profile_shows(page: Page) -> None:
    hidden = {name: "9" for name in ("imageTag", "containerName", "puid", "licenseKey")}
    [made] = generated(page, [{**WELL, **hidden, "https": True, "licenseKeyType": "custom"}])
    assert yaml.safe_load(made["compose"]) == expected(WELL)
    assert made["errors"] == []
    assert PUBLIC_KEY in made["compose"]


@pytest.mark.parametrize(
    ("address", "site"), [("192.168.1.100", "192.168.1.100"), ("fd00::7", "[fd00::7]")]
)
def test_the_caddyfile_answers_at_the_address(page: Page, address: str, site: str) -> None:
    [made] = generated(page, [{**FULL, "https": True, "lanIp": address}])
    assert f"https://{site} {{" in made["caddyfile"]
    assert f"default_sni {address}" in made["caddyfile"]
    assert "tls internal" in made["caddyfile"]
    assert "reverse_proxy hagicode:45000" in made["caddyfile"]


def test_the_complete_example_is_a_valid_compose_file_for_aliyun(page: Page) -> None:
    for language in ("zh", "en"):
        source = Path(__file__).parents[2] / "site" / "pages" / language / "compose-example.md"
        [text] = re.findall(r"```yaml\n(.*?)```", source.read_text(encoding="utf-8"), re.S)
        document = yaml.safe_load(text)
        wanted = expected({**WELL, "acceptEula": True, "workdirPath": "/home/user/repos"})
        token = document["services"]["hagicode"]["environment"]["ANTHROPIC_AUTH_TOKEN"]
        wanted["services"]["hagicode"]["environment"]["ANTHROPIC_AUTH_TOKEN"] = token
        assert document == wanted
        jsonschema.Draft7Validator(schema()).validate(document)


def test_the_defaults_are_those_of_the_facts() -> None:
    path = Path(__file__).parents[2] / "site" / "data" / "defaults.json"
    defaults = json.loads(path.read_text(encoding="utf-8"))
    assert {name: defaults[name] for name in DEFAULTS} == DEFAULTS


def test_the_modules_pass_their_own_unit_tests() -> None:
    done = subprocess.run(
        ["node", "--test", str(Path(__file__).with_name("modules.test.mjs"))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
