"""mirrors.yaml is read whole or refused in one line that says where and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.config import load_settings
from mirror.config.explain import allowed_keys
from mirror.errors import ConfigError

MIRROR = "source: docker.io/newbe36524/hagicode, target: registry.example/hagicode"
MIRRORS = f"mirrors: {{a: {{{MIRROR}}}}}\n"


def refused(path: Path, text: str | bytes) -> str:
    """What is said of a mirrors.yaml that cannot be used, without its path."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    return message.removeprefix(f"{path}:").strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mirrors.yaml"


def test_a_duplicate_key_is_refused_with_its_place(path: Path) -> None:
    text = f"mirrors:\n  a: {{{MIRROR}}}\n  a: {{{MIRROR}}}\n"
    assert refused(path, text) == "line 3, column 3: not valid YAML: duplicate key 'a'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mirrors: [", "line 1, column 11: not valid YAML: "),
        ("mirrors: \x07", "not valid YAML: unacceptable character"),
        (b"mirrors: \xff", "not UTF-8 text"),
        ("- a", "must be a mapping with the key mirrors; see docs/configuration.md"),
        ("", "must be a mapping with the key mirrors; see docs/configuration.md"),
        ("{}", "mirrors: missing"),
        ("mirrors: {a: {source: docker.io/a/b}}", "mirrors.a.target: missing"),
        (f"path: x\n{MIRRORS}", "path: unknown key; allowed: registries, mirrors, alerts"),
        (f"mirors: {{}}\n{MIRRORS}", "mirors: unknown key; allowed: registries, mirrors, alerts"),
        ("mirrors: {a: {source: a/b, target: a/b}}", "a mirror onto itself"),
        ("mirrors: {A: {source: a/b, target: a/c}}", "mirrors.A: a mirror's name is lower-case"),
        (
            "mirrors: {a: {source: a/b, target: x/y}, b: {source: a/c, target: x/y}}",
            "mirrors.b.target: docker.io/x/y is the target of mirrors.a too",
        ),
        ("mirrors: {a: {source: a/b:1, target: x/y}}", "names a tag or digest"),
        (f"registries: {{'a b': {{}}}}\n{MIRRORS}", "registries.a b: not a registry host[:port]"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_wrong(
    path: Path, text: str | bytes, said: str
) -> None:
    assert said in refused(path, text)


def test_a_file_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name it with --config or MIRROR_CONFIG"):
        load_settings(tmp_path / "none.yaml")


def test_the_file_is_the_argument_else_the_variable_else_the_one_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/mirrors.yaml", "variable.yaml", "argument.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MIRRORS)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("MIRROR_CONFIG", raising=False)
    assert load_settings().path == Path("mirrors.yaml")
    monkeypatch.setenv("MIRROR_CONFIG", str(tmp_path / "variable.yaml"))
    assert load_settings().path == tmp_path / "variable.yaml"
    assert load_settings(tmp_path / "argument.yaml").path == tmp_path / "argument.yaml"


@pytest.mark.parametrize(
    ("location", "allowed"),
    [
        ((), "registries, mirrors, alerts, alerting, retry"),
        (("registries", "docker.io"), "insecure, ca_file, username_env, password_env"),
        (("mirrors", "a"), "source, target, tags, platforms"),
        (("mirrors", "tags"), "source, target, tags, platforms"),  # a mirror named so
        (("mirrors", "a", "tags"), "include, exclude, semver, newest"),
        (("mirrors", "tags", "tags"), "include, exclude, semver, newest"),
        (("mirrors", "a", "rate_limit"), "rate, from, to, timezone"),
        (("retry",), "times, wait, then_every"),
        (("alerts", "0"), "name, severities, mirrors, dingtalk, feishu, wecom, email, apprise"),
        (("alerts", "0", "email"), "smtp, password_env, sender, to, ca_file, insecure"),
        (("alerting",), "missed_runs, quota_low"),
        (("alerting", "repeat"), "critical, warning, info"),
        (("alerting", "quiet_hours"), "from, to, timezone"),
        (("alerting", "rules", "drift"), "enabled, severity, repeat"),
    ],
)
def test_the_keys_allowed_at_a_place_are_those_of_its_model(
    location: tuple[str, ...], allowed: str
) -> None:
    assert allowed_keys(location).startswith(allowed)
