"""What people write in mirrors.yaml: the obvious meaning, or one line that says what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror.config import Settings, load_settings
from mirror.config.expectations import Kind, keys_of, kind_of
from mirror.errors import ConfigError
from tests.config.test_load import refused

BASE = "source: docker.io/a/b, target: registry.example/a/b"
INNER_WORDS = re.compile(
    r"valid (tuple|dictionary|string|list|integer|number|boolean|timedelta|time)|function-|Input |"
    r"should (be|have|match)|Extra inputs|Field required|literal\[|tuple\[|pydantic|\[key\]|"
    r"Value error|Unable to|unable to|Traceback|Mistake|Unquoted|<class",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mirrors.yaml"


def read(path: Path, text: str | bytes) -> Settings:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(path)


def mirror(path: Path, more: str, base: str = BASE) -> Any:
    return read(path, f"mirrors: {{m: {{{base}, {more}}}}}\n").mirror("m")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('tags: {include: "1.*"}', ("1.*",)),
        ("tags: {include: '1.*, 2.*'}", ("1.*", "2.*")),
        ("tags: {include: '1.* latest'}", ("1.*", "latest")),
        ("tags: {include: 're:^v[0-9]{1,2}$'}", ("re:^v[0-9]{1,2}$",)),
        ("tags: {include: 1}", ("1",)),
        ("tags: v1.*", ("v1.*",)),
        ("tags: [v1.*, latest]", ("v1.*", "latest")),
        ("tags: {include: [1, 22]}", ("1", "22")),
        ("tags: {include: [2026-11-26]}", ("2026-11-26",)),
        ("tags: {include: [1e3, 1.2.3]}", ("1e3", "1.2.3")),
    ],
)
def test_a_scalar_for_a_list_of_patterns(path: Path, written: str, meant: tuple[str, ...]) -> None:
    assert mirror(path, written).tags.include == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("linux/amd64", ("linux/amd64",)),
        ("'linux/amd64,linux/arm64'", ("linux/amd64", "linux/arm64")),
        ("'linux/amd64, linux/arm/v7'", ("linux/amd64", "linux/arm/v7")),
        ("[Linux/AMD64]", ("linux/amd64",)),
        ("[linux/x86_64, linux/aarch64]", ("linux/amd64", "linux/arm64")),
        ("ALL", "all"),
        ("[all]", "all"),
    ],
)
def test_platforms(path: Path, written: str, meant: object) -> None:
    assert mirror(path, f"platforms: {written}").platforms == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("linux/amd46", "did you mean amd64?"),
        ("[linux/am64]", "did you mean a"),
        ("[linux/amr64]", "did you mean arm64?"),
        ("[linus/amd64]", "did you mean linux?"),
        ("[linux/arm/7]", "write linux/arm/v7"),
        ("[amd64]", "write linux/amd64"),
        ("[]", "would copy nothing"),
        ("[all, linux/amd64]", "write all, or list some"),
        ("{linux: amd64}", "must be all or a list such as [linux/amd64, linux/arm64]"),
        ("[linux/s399x]", "did you mean s390x?"),
    ],
)
def test_a_platform_that_does_not_exist(path: Path, written: str, said: str) -> None:
    message = refused(path, f"mirrors: {{m: {{{BASE}, platforms: {written}}}}}\n")
    assert message.startswith("mirrors.m.platforms")
    assert said in message


@pytest.mark.parametrize("to", ["ops@example.com", "'ops@example.com, dev@example.com'"])
def test_a_mail_address_for_a_list(path: Path, to: str) -> None:
    mail = f"email: {{smtp: smtp://mail:25, insecure: true, sender: a@b.example, to: {to}}}"
    for alerts in (f"[{{{mail}}}]", f"{{{mail}}}"):
        settings = read(path, f"alerts: {alerts}\nmirrors: {{m: {{{BASE}}}}}\n")
        assert settings.alerts[0].email is not None
        assert settings.alerts[0].email.to == tuple(to.strip("'").split(", "))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("every: 30", "mirrors.m.every: 30 has no unit; write 30m"),
        ("watch_every: 2", "mirrors.m.watch_every: 2 has no unit; write 2m"),
        ("delay_goal: '45'", "mirrors.m.delay_goal: 45 has no unit; write 45m"),
        ("tags: {delete_after: 14}", "mirrors.m.tags.delete_after: 14 has no unit; write 14m"),
        ("every: 0.5", "is not a duration such as 30m"),
        ("every: 0m", "longer than zero"),
        ("every: 999999999999d", "longer than any duration"),
        ("every: yes", "mirrors.m.every: 'yes' is not a duration such as 30m"),
        ("every:", "mirrors.m.every: empty; write a duration such as 30m"),
        ("rate_limit: 20", "mirrors.m.rate_limit: 20 has no unit; write 20Mbit/s"),
        ("rate_limit: {rate: 20}", "mirrors.m.rate_limit.rate: 20 has no unit; write 20Mbit/s"),
        ("rate_limit: {rate: 2MB/s, from: 8}", "mirrors.m.rate_limit.from: must be a time of day"),
        ("rate_limit: {rate: 2MB/s, to: '24:00'}", 'such as "08:00"'),
        ("tags: {newest: many}", "mirrors.m.tags.newest: must be a whole number of at least 1"),
        ("tags: {newest: true}", "mirrors.m.tags.newest: must be a whole number of at least 1"),
        ("tags: {delete_share: 10%}", "for 10% write 0.1"),
        ("referrers: maybe", "mirrors.m.referrers: must be true or false"),
        ("attestations: kepe", "did you mean keep?"),
        ("attestations: [keep]", "mirrors.m.attestations: must be 'keep' or 'drop', not a list"),
        ("tags: {include: [1.10]}", "mirrors.m.tags.include.0: YAML reads 1.10 as the number 1.1"),
        ("tags: {include: 2.00}", 'quote it, "2.00"'),
        ("tags: {exclude: [1.0e+3]}", 'quote it, "1.0e+3"'),
        ("tags: {immutable: [on]}", 'YAML reads on as true: quote it, "on"'),
        ("tags: {include: [007]}", 'quote it, "007"'),
        ("tags: {include: [1_000]}", 'quote it, "1_000"'),
        ("tags: {include: [12:30]}", 'quote it, "12:30"'),
        ("tags: {include: [no, 'yes']}", 'quote it, "no"'),
        ("tags: {include: ['^v1']}", "a regular expression after re:"),
        ("tags: {include: ['v 1']}", "matches no tag"),
        ("tags: {include: [null]}", "an empty item"),
        ("tags: {include: {a: b}}", "mirrors.m.tags.include: must be a list"),
        ("tags: true", "YAML reads true as true"),
        ("tags: {rename: 'v{tag}-{date}'}", "makes no tag"),
        ("name: other", "mirrors.m.name: unknown key"),
        ("include: ['*']", "include belongs in tags: {include: ...}"),
        ("delay-goal: 1h", "did you mean delay_goal?"),
        ("schedule: 1h", "did you mean every?"),
        ("platfroms: all", "did you mean platforms?"),
    ],
)
def test_a_value_of_a_mirror_that_means_nothing(path: Path, written: str, said: str) -> None:
    message = refused(path, f"mirrors: {{m: {{{BASE}, {written}}}}}\n")
    assert said in message
    assert not INNER_WORDS.search(message)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://registry.example.com/", "registry.example.com"),
        ("Registry.Example.COM:5000", "registry.example.com:5000"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("docker.io/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("Docker.IO", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("localhost", "localhost"),
    ],
)
def test_a_registries_key_as_people_write_it(path: Path, key: str, host: str) -> None:
    settings = read(
        path,
        f"registries: {{'{key}': {{username: u, password_env: P}}}}\nmirrors: {{m: {{{BASE}}}}}\n",
    )
    assert settings.registry(host).username == "u"
    path.write_text(
        f"registries: {{'{key}/team': {{username: u, password_env: P}}}}\n"
        f"mirrors: {{m: {{{BASE}}}}}"
    )
    if "/v" not in key:
        assert f"{host}/team" in load_settings(path).registries


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("http://127.0.0.1:5000", "write 127.0.0.1:5000: {insecure: true}"),
        ("hub.docker.com", "write docker.io"),
        ("newbe36524", "write docker.io/newbe36524"),
        ("oci://registry.example.com", "oci:// is not a registry's"),
        ("a b", "not a registry host[:port]"),
        ("https://me:s3cret@registry.example.com", "username_env"),
    ],
)
def test_a_registries_key_that_is_none(path: Path, key: str, said: str) -> None:
    message = refused(path, f"registries: {{'{key}': {{}}}}\nmirrors: {{m: {{{BASE}}}}}\n")
    assert message.startswith("registries")
    assert said in message
    assert "s3cret" not in message


def test_one_registry_twice_is_refused(path: Path) -> None:
    text = f"registries: {{docker.io: {{}}, Index.Docker.IO: {{}}}}\nmirrors: {{m: {{{BASE}}}}}\n"
    assert "two entries for docker.io" in refused(path, text)


def test_plain_http_with_insecure_is_what_it_says(path: Path) -> None:
    text = f"registries: {{'http://127.0.0.1:5000': {{insecure: yes}}}}\nmirrors: {{m: {{{BASE}}}}}"
    assert read(path, text).registry("127.0.0.1:5000").insecure


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("https://registry.example.com/a/b", "registry.example.com/a/b"),
        ("docker://docker.io/library/nginx", "docker.io/library/nginx"),
        ("index.docker.io/a/b/", "docker.io/a/b"),
        (" Registry-1.docker.io/a/b ", "docker.io/a/b"),
        ("nginx", "docker.io/library/nginx"),
    ],
)
def test_a_source_as_people_write_it(path: Path, source: str, meant: str) -> None:
    assert mirror(path, "tags:", f"source: '{source}', target: r.example/x").source == meant


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "docker.io/library/nginx:1.27",
            'write docker.io/library/nginx and tags: {include: ["1.27"]}',
        ),
        (f"nginx@sha256:{'0' * 64}", "write docker.io/library/nginx"),
        ("http://127.0.0.1:5000/a", "registries: {127.0.0.1:5000: {insecure: true}}"),
        ("https://hub.docker.com/r/a/b", "write docker.io/a/b"),
        ("hub.docker.com/_/nginx", "write docker.io/library/nginx"),
        ("ftp://registry.example.com/a", "ftp:// is not a registry's"),
        ("https://me:s3cret@registry.example.com/a", "username_env"),
        ("$REGISTRY/a", "variables are not expanded"),
        ("${REGISTRY}/a", "variables are not expanded"),
    ],
)
def test_a_source_that_is_no_repository(path: Path, source: str, said: str) -> None:
    message = refused(path, f"mirrors: {{m: {{source: '{source}', target: r.example/x}}}}\n")
    assert message.startswith("mirrors.m.source: ")
    assert said in message
    assert "s3cret" not in message


def test_a_robot_account_is_no_variable(path: Path) -> None:
    path.write_text(
        "registries: {r.example: {username: 'robot$ci+pull', password_env: PASSWORD}}\n"
        "mirrors: {m: {source: a/b, target: r.example/x}}\n"
    )
    assert load_settings(path).registries["r.example"].username == "robot$ci+pull"


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2",
        "$uperS3cret",
        "${ALIYUN_PASSWORD}",
        "p@ss word",
        "ghp_abcdefghijklmnop",
        "dckr_pat_x1",
        "SEC0123456789abcdef0123",
        "12345678",
        "1.50",
        "a0b1c2d3e4f5a6b7c8d9",
    ],
)
def test_a_secret_where_a_variable_is_named_is_never_shown(path: Path, secret: str) -> None:
    mirrors = f"mirrors: {{m: {{{BASE}}}}}\n"
    for section, key in (
        (f"registries: {{r.example: {{username: u, password_env: '{secret}'}}}}", "password_env"),
        (
            f"registries: {{r.example: {{username_env: '{secret}', password_env: P}}}}",
            "username_env",
        ),
        (f"alerts: [{{dingtalk: {{token_env: '{secret}'}}}}]", "alerts.0.dingtalk.token_env"),
        (
            f"registries: {{r.example: {{username_env: {secret!r}, password_env: P}}}}",
            "username_env",
        ),
    ):
        message = refused(path, f"{section}\n{mirrors}")
        assert key in message
        assert secret not in message
        assert "variable" in message


@pytest.mark.parametrize(
    ("section", "secret"),
    [
        ("registries: {r.example: {username: u, password: hunter2}}", "hunter2"),
        ("registries: {r.example: {username: u, password_secret: 'my s3cret!'}}", "s3cret"),
        ("alerts: [{dingtalk: {token: hunter2}}]", "hunter2"),
        ("alerts: [{wecom: {key_env: K, url: 'https://h/send?key=hunter2'}}]", "hunter2"),
        ("alerts: [{feishu: {token_env: T, url: 'https://me:hunter2@h'}}]", "hunter2"),
        ("alerts: [{wecom: {key_env: K, url: 'https://h:hunter2'}}]", "hunter2"),
        ("registries: {r.example: {hub_api: 'https://u:hunter2@h'}}", "hunter2"),
        ("registries: {'me:hunter2/x\"& 7@r.example': {}}", "hunter2"),
        ("registries: {'https://me:x/hunter2@r.example': {}}", "hunter2"),
        ("mirrors: {n: {source: 'me:hunter2/x@r.example/a', target: r.example/b}}", "hunter2"),
        ("mirrors: {n: {source: 'me:x/hunter2@r.example/a', target: r.example/b}}", "hunter2"),
    ],
)
def test_a_secret_in_another_place_is_never_shown(path: Path, section: str, secret: str) -> None:
    mirrors = "" if section.startswith("mirrors:") else f"mirrors: {{m: {{{BASE}}}}}\n"
    assert secret not in refused(path, f"{section}\n{mirrors}")


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffmirrors: {{m: {{{BASE}}}}}\n".encode(),
        b"mirrors:\r\n  m:\r\n    source: docker.io/a/b\r\n    target: registry.example/a/b\r\n",
        f"registries:\nalerts:\nretry:\nmirrors: {{m: {{{BASE}, tags: , rate_limit: }}}}".encode(),
        b"mirrors:\n  m: &m\n    source: docker.io/a/b\n    target: registry.example/a/b\n"
        b"    every: 1h\n  n: &n {<<: *m, target: registry.example/n}\n"
        b"  o: {<<: *n, target: registry.example/o}\n",
    ],
)
def test_a_file_as_editors_and_people_write_it(path: Path, text: bytes) -> None:
    settings = read(path, text)
    assert settings.mirror("m").target == "registry.example/a/b"
    for name in settings.mirrors:
        assert settings.mirror(name).source == "docker.io/a/b"
        assert settings.mirror(name).name == name
    assert "n" not in settings.mirrors or settings.mirror("o").every == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; must be a mapping with the key mirrors"),
        ("# nothing\n\n# yet\n", "empty; must be a mapping with the key mirrors"),
        ("\ufeff", "empty; must be a mapping"),
        ("---\n", "empty; must be a mapping"),
        ("- m: {}\n", "must be a mapping with the key mirrors"),
        ("mirrors\n", "must be a mapping with the key mirrors"),
        ("mirrors：{}\n", "'：' is not the colon of YAML"),
        ("mirrors: {}\n", "mirrors: no mirror; write {NAME: {source: ..., target: ...}}"),
        ("mirrors:\n", "mirrors: no mirror"),
        ("mirrors: []\n", "mirrors: must be a mapping of entries by name"),
        (
            "mirrors: [{source: a/b, target: c/d}]\n",
            "mirrors: must be a mapping of entries by name",
        ),
        ("mirrors: m\n", "mirrors: must be a mapping of entries by name"),
        ("mirrors: {m: }\n", "mirrors.m.source: missing; write source: docker.io/library/nginx"),
        ("mirrors: {m: {}}\n", "mirrors.m.target: missing; write target: "),
        ("mirrors: {m: a/b}\n", "mirrors.m: must be a mapping; allowed: source, target"),
        (f"mirrors: {{My Mirror: {{{BASE}}}}}\n", "write my-mirror"),
        ("mirrors:\n\tm: {}\n", "indent with spaces"),
        ("mirrors:\n  m:\n  \tsource: a/b\n", "indent with spaces"),
        ("mirrors: {m: {}}\n---\nmirrors: {}\n", "remove the line ---"),
        ("mirrors: !!int abc\n", "not valid YAML"),
        ("[" * 3_000, "nested too deeply"),
        ("mirrors: {m: *nothing}\n", "undefined alias"),
        (f"x-base: &b {{{BASE}}}\nmirrors: {{m: *b}}\n", "x-base: unknown key"),
        (f"mirrors: {{m: {{{BASE}, every: 1h, every: 2h}}}}\n", "duplicate key 'every'"),
        (f"mirrors: {{m: {{{BASE}}}}}\nmirrors: {{m: {{{BASE}}}}}\n", "duplicate key 'mirrors'"),
        (f"mirrors: {{m: {{{BASE}}}}}\nretries: {{}}\n", "did you mean retry?"),
        (
            f"mirrors: {{m: {{{BASE}}}}}\nalerting: {{rules: {{driftt: {{}}}}}}\n",
            "did you mean drift?",
        ),
        ("mirrors: {a: &a [*a]}\n", "mirrors.a: must be a mapping"),
    ],
)
def test_a_file_that_cannot_be_meant(path: Path, text: str, said: str) -> None:
    message = refused(path, text)
    assert said in message
    assert not INNER_WORDS.search(message)


def test_utf_16_is_named(path: Path) -> None:
    assert "save it as UTF-8" in refused(path, "mirrors: {}".encode("utf-16"))


WRONG: tuple[object, ...] = (
    *(
        None,
        True,
        7,
        -1,
        0.5,
        1e300,
        float("nan"),
        float("inf"),
        "",
        " ",
        "word",
        "a b",
        "s3cret-value!",
    ),
    *([], {}, [[]], [{}], [None], [1.5], [True], ["word"], {"a": None}, {"a": {"b": 1}}, {1: 2}),
    *({True: []}, [["a"]], b"bytes", "\x85", "://", "http://[", "re:(", "~", "30", "24:61", "::"),
    *("9" * 5_000, 10**30, {"source": []}, "{tag}", "smtps://[::1", "a@b", "$X"),
)


def places(kind: Kind, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key that mirrors.yaml can have, with an entry of each list and mapping."""
    if where:
        yield where
    if kind.model is not None:
        for key, inner in keys_of(kind.model).items():
            yield from places(inner, (*where, key))
    elif kind.is_mapping and kind.item is not None:
        name = (
            "drift" if where[-1] == "rules" else "docker.io" if where[-1] == "registries" else "m"
        )
        yield from places(kind.item, (*where, name))
    elif kind.item is not None:
        yield from places(kind.item, (*where, 0))


def put(where: tuple[str | int, ...], value: object) -> object:
    document: Any = value
    for part in reversed(where):
        document = [document] if part == 0 else {part: document}
    return document


@pytest.mark.parametrize(
    "where", list(places(kind_of(Settings))), ids=lambda w: ".".join(map(str, w))
)
def test_no_wrong_type_anywhere_shows_inner_words(path: Path, where: tuple[str | int, ...]) -> None:
    for value in WRONG:
        document: Any = put(where, value)
        if where[0] != "mirrors":
            document["mirrors"] = {"m": {"source": "docker.io/a/b", "target": "r.example/a"}}
        elif where[1:2] == ("m",) and len(where) > 2:
            base = {"source": "docker.io/a/b", "target": "r.example/a"}
            document["mirrors"]["m"] = {**base, **document["mirrors"]["m"]}
        path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        try:
            load_settings(path)
        except ConfigError as error:
            message = str(error)
            assert not INNER_WORDS.search(message), (value, message)
            assert "\n" not in message
            if len(where) > 2 and where[-1] != 0 and str(where[-1]).endswith("_env"):
                assert "s3cret" not in message
