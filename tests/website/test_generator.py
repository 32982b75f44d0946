"""The compose file for many choices, made in Chromium and compared with the facts key by key."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from playwright.sync_api import Page

from tests.website.generator import FULL, WELL, generated
from tests.website.npm import installed
from tests.website.oracle import DEFAULTS, PUBLIC_KEY, as_meant, escaped, expected

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
