"""The JSON Schema of mirrors.yaml: derived from the models, and as strict as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mirror.config import json_schema, load_settings, shown_settings, variables
from mirror.errors import ConfigError

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "site/schema/mirrors-yaml.schema.json"
MIRROR = "source: docker.io/a/b, target: registry.example/a/b"
WHOLE = """
registries:
  docker.io: {username: me, password_env: HUB_TOKEN}
  registry.example: {insecure: true, username_env: R_USER, password_env: R_PASSWORD}
mirrors:
  a: {source: nginx, target: registry.example/nginx, tags: {include: "1.*, 2.*", newest: 3},
      platforms: linux/amd64, rate_limit: 20Mbit/s, every: 1h30m}
  b:
    source: docker.io/bitnami/*
    target: registry.example/bitnami_*
    repositories: {include: [redis, "post*"]}
    rate_limit: {rate: 2.5MB/s, from: "08:00", to: "23:00"}
alerts:
  - {dingtalk: {token_env: DING_TOKEN}, severities: critical, mirrors: [a]}
  - email: {smtp: "smtps://me@mail.example:465", password_env: SMTP_PASSWORD,
            sender: me@example.com, to: you@example.com}
alerting: {quiet_hours: {from: "22:00", to: "08:00"}, rules: {drift: {severity: info}}}
retry: {times: 1}
"""


def mistakes(text: str) -> list[str]:
    """What an editor marks."""
    checker = jsonschema.Draft7Validator(json_schema())
    return [error.message for error in checker.iter_errors(yaml.safe_load(text))]


def test_the_published_schema_is_that_of_the_models() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert PUBLISHED.read_text(encoding="utf-8") == text, (
        "write it again: .venv/bin/mirror config schema > site/schema/mirrors-yaml.schema.json"
    )


def test_mirrors_yaml_names_its_schema_and_agrees_with_it() -> None:
    text = (ROOT / "mirrors.yaml").read_text(encoding="utf-8")
    (named,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)\n", text)
    assert (ROOT / named).resolve() == PUBLISHED
    assert mistakes(text) == []


def test_all_that_may_be_written_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    load_settings(path)
    assert mistakes(WHOLE) == []


@pytest.mark.parametrize(
    "text",
    [
        "mirrors: {}",
        "retry: {times: 3}",
        f"mirrors: {{m: {{{MIRROR}, sauce: x}}}}",
        f"mirrors: {{m: {{{MIRROR}, every: 30}}}}",
        f"mirrors: {{m: {{{MIRROR}, every: half an hour}}}}",
        f"mirrors: {{m: {{{MIRROR}, referrers: 3}}}}",
        f"mirrors: {{m: {{{MIRROR}, attestations: leave}}}}",
        f"mirrors: {{m: {{{MIRROR}, tags: {{newest: 0}}}}}}",
        f"mirrors: {{m: {{{MIRROR}, repositories: {{}}}}}}",
        f"mirrors: {{M/1: {{{MIRROR}}}}}",
        "mirrors: {m: {source: docker.io/a/b}}",
        f"mirrors: {{m: {{{MIRROR}}}}}\nregistries: {{r.example: {{password_env: $SECRET}}}}",
        f"mirrors: {{m: {{{MIRROR}}}}}\nalerting: {{rules: {{drifft: {{}}}}}}",
        f"mirrors: {{m: {{{MIRROR}}}}}\nalerting: {{quiet_hours: {{from: late, to: 08:00}}}}",
    ],
)
def test_what_the_models_refuse_an_editor_marks(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load_settings(path)
    assert mistakes(text)


def test_each_key_says_what_it_means() -> None:
    schema = json_schema()
    found: list[Any] = [schema, *schema["definitions"].values()]
    keys = [(key, value) for each in found for key, value in each["properties"].items()]
    assert len(keys) > 60
    assert [key for key, value in keys if not value["description"]] == [], (
        "describe them in mirror/config/meanings.py"
    )
    every = schema["definitions"]["MirrorSettings"]["properties"]["every"]
    assert every["default"] == "30m"
    assert "1h30m" in every["description"]


def test_settings_are_shown_in_full_and_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    settings = load_settings(path)
    shown = shown_settings(settings)
    assert shown["mirrors"]["a"]["source"] == "docker.io/library/nginx"
    assert shown["mirrors"]["a"]["tags"]["include"] == ["1.*", "2.*"]
    assert shown["mirrors"]["a"]["watch_every"] == "2m"
    text = yaml.safe_dump(shown)
    assert mistakes(text) == []
    path.write_text(text, encoding="utf-8")
    again = load_settings(path)
    assert shown_settings(again) == shown
    assert again.mirrors == settings.mirrors
    assert again.entries == settings.entries
    assert again.alerts == settings.alerts
    assert again.alerting == settings.alerting


def test_the_variables_of_a_file_are_known(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    assert variables(load_settings(path)) == (
        *("HUB_TOKEN", "R_USER", "R_PASSWORD", "DING_TOKEN", "SMTP_PASSWORD"),
    )
