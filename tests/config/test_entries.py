"""One entry of mirrors.yaml for many repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.config import Settings, load_settings
from mirror.errors import ConfigError

ENTRY = """
mirrors:
  bitnami:
    source: docker.io/bitnami/*
    target: registry.example.com/hagicode/bitnami_*
    repositories: {include: [postgresql, "redis*"], exclude: [redis-sentinel]}
    every: 1h
    rate_limit: {rate: 20Mbit/s, from: "08:00", to: "20:00"}
"""


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "mirrors.yaml"
    path.write_text(text)
    return load_settings(path)


def refused(tmp_path: Path, entry: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"mirrors:\n  all: {{{entry}}}\n")
    return str(caught.value).removeprefix(f"{tmp_path / 'mirrors.yaml'}: ")


def test_each_repository_that_is_admitted_is_a_mirror_with_the_policy_of_the_entry(
    tmp_path: Path,
) -> None:
    settings = loaded(tmp_path, ENTRY)
    assert settings.mirrors == {}
    names = ["postgresql", "redis", "redis-sentinel", "redis-cluster", "nginx"]
    expanded = settings.expanded({"bitnami": names})
    assert list(expanded.mirrors) == [
        "bitnami/postgresql",
        "bitnami/redis",
        "bitnami/redis-cluster",
    ]
    mirror = expanded.mirrors["bitnami/redis"]
    assert mirror.source == "docker.io/bitnami/redis"
    assert mirror.target == "registry.example.com/hagicode/bitnami_redis"
    entry = settings.entries["bitnami"]
    assert (mirror.every, mirror.rate_limit) == (entry.every, entry.rate_limit)


def test_a_mirror_of_an_entry_is_found_by_name_without_asking_the_source(tmp_path: Path) -> None:
    settings = loaded(tmp_path, ENTRY)
    assert settings.mirror("bitnami/postgresql").source == "docker.io/bitnami/postgresql"
    with pytest.raises(ConfigError, match=r"mirrors\.bitnami does not mirror 'nginx'"):
        settings.mirror("bitnami/nginx")
    with pytest.raises(ConfigError, match=r"no mirror is named 'bitnam'; did you mean bitnami\?"):
        settings.mirror("bitnam")


def test_paths_are_flat_where_the_target_takes_no_deeper_ones(tmp_path: Path) -> None:
    text = "mirrors: {all: {source: r.example.com/team/*, target: HOST/*}}"
    deep = loaded(tmp_path, text.replace("HOST", "hagicode.azurecr.io"))
    flat = loaded(tmp_path, text.replace("HOST", "registry.cn-hangzhou.aliyuncs.com/hagicode"))
    assert deep.mirror("all/a/b").target == "hagicode.azurecr.io/a/b"
    assert flat.mirror("all/a/b").target == "registry.cn-hangzhou.aliyuncs.com/hagicode/a_b"
    with pytest.raises(ConfigError) as caught:
        flat.expanded({"all": ["a/b", "a_b"]})
    assert str(caught.value) == (
        "mirrors.all: r.example.com/team/a/b and r.example.com/team/a_b would both be copied to"
        " registry.cn-hangzhou.aliyuncs.com/hagicode/a_b; exclude one under repositories"
    )


def test_a_target_that_another_mirror_has_is_an_error_that_names_both(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        f"{ENTRY}  single: {{source: docker.io/library/redis,"
        " target: registry.example.com/hagicode/bitnami_redis}\n",
    )
    with pytest.raises(ConfigError, match=r"docker.io/bitnami/redis would be .*target of single"):
        settings.expanded({"bitnami": ["redis"]})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            'source: "docker.io/*/x", target: "r.example.com/*"',
            "mirrors.all.source: 'docker.io/*/x': write one * at the end",
        ),
        (
            'source: "docker.io/bitnami/*", target: r.example.com/bitnami',
            "mirrors.all.target: 'r.example.com/bitnami': write * once, where the repository's",
        ),
        (
            'source: "docker.io/bitnami/*", target: "*.example.com/bitnami"',
            "mirrors.all.target: '*.example.com/bitnami': the * belongs behind the registry's host",
        ),
        (
            'source: "docker.io/bitnami/*", target: "r.example.com/*", repositories: {includ: a}',
            "mirrors.all.repositories.includ: unknown key; allowed: include, exclude, file;"
            " did you mean include?",
        ),
        (
            'source: "docker.io/bitnami/*", target: "r.example.com/*", repositories: {include: Ä}',
            "mirrors.all.repositories.include.0: 'Ä' matches no repository: names have no 'Ä'",
        ),
        (
            'source: docker.io/bitnami/redis, target: "r.example.com/redis", repositories: {}',
            "mirrors.all.repositories: unknown key",
        ),
    ],
)
def test_what_makes_no_entry_is_refused_in_one_line(tmp_path: Path, entry: str, said: str) -> None:
    assert refused(tmp_path, entry).startswith(said)


def test_entries_is_no_key_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="entries: unknown key; allowed: registries, mirrors"):
        loaded(tmp_path, f"{ENTRY}entries: {{}}\n")


def test_an_entry_may_hold_numbers_and_booleans(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(
        "mirrors: {all: {source: docker.io/team/*, target: r.example.com/team_*,"
        " referrers: false, tags: {newest: 3, delete_share: 0.2}}}"
    )
    entry = load_settings(path).entries["all"]
    assert (entry.referrers, entry.tags.newest, entry.tags.delete_share) == (False, 3, 0.2)
