"""The command `mirror` as a process: help, wrong words, terminals of any encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.sql import command as sql
from flows.cli.status import _falls_short, _never_synced
from mirror.config import MirrorSettings

PROGRAM = "from flows.cli import main; main()"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_alone_it_prints_its_help() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("Usage: mirror")
    assert sum(line.startswith("  sync ") for line in lines) == 1


@pytest.mark.parametrize(
    ("word", "meant"), [("statsu", "status"), ("snyc", "sync"), ("reports", "report")]
)
def test_a_wrong_command_names_the_one_that_was_meant(word: str, meant: str) -> None:
    done = run(word)
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert f"no such command {word!r}; did you mean {meant}?" in line


@pytest.mark.parametrize("name", ["hagicode-aliyum", "hagicod-aliyun", "hagicode_aliyun"])
def test_a_wrong_mirror_names_the_one_that_was_meant(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text("mirrors: {hagicode-aliyun: {source: a/b, target: r.example/b}}")
    done = run("sync", name, MIRROR_CONFIG=str(path))
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert f"no mirror is named {name!r}; did you mean hagicode-aliyun?" in line


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "ascii", "cp1252"])
def test_no_encoding_makes_a_traceback(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text("mirrors: {应用→✔: {source: a/b, target: r.example/b}}", encoding="utf-8")
    done = run("status", MIRROR_CONFIG=str(path), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"a mirror's name is lower-case" in done.stderr
    shown = "from flows.cli.app import escape_unencodable as e; e(); print('✔ → ☃')"
    printed = subprocess.run(
        [sys.executable, "-c", shown],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert b"\\u2603" in printed.stdout


@pytest.mark.parametrize(
    "query",
    ["-- all\nSELECT 1", "--x\nSELECT 1", "-- a = b\n\nSELECT 1 -- end", "--json is\nSELECT 1"],
)
def test_a_query_may_begin_with_a_comment(query: str) -> None:
    for arguments in ([query], ["--json", query], [query, "--csv"], ["--json", "--", query]):
        with sql.make_context("sql", list(arguments)) as context:
            assert context.params["query"] == query
            assert (context.params["form"] is None) == (len(arguments) == 1)


def test_a_mirror_that_was_never_synced_is_not_short_of_its_goals() -> None:
    mirror = MirrorSettings(name="m", source="docker.io/a/b", target="r.example/b")
    found = _never_synced(mirror)
    assert (found.mirror, found.last_run, found.delay_goal) == ("m", None, timedelta(minutes=30))
    assert not _falls_short(found, mirror)


@pytest.mark.parametrize(
    ("status", "lag", "short"),
    [
        ("succeeded", None, False),
        ("partial", timedelta(minutes=29), False),
        ("running", None, False),
        ("succeeded", timedelta(minutes=31), True),
        ("failed", None, True),
        ("abandoned", None, True),
    ],
)
def test_a_failed_run_or_a_late_tag_falls_short(
    status: str, lag: timedelta | None, short: bool
) -> None:
    mirror = MirrorSettings(name="m", source="docker.io/a/b", target="r.example/b")
    run: Any = SimpleNamespace(status=status)
    found = replace(_never_synced(mirror), last_run=run, oldest_lag=lag)
    assert _falls_short(found, mirror) is short


def test_status_lists_mirrors_that_were_never_synced(tmp_path: Path, url: str) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(
        "mirrors: {a: {source: a/b, target: r.example/b}, c: {source: a/d, target: r.example/d}}"
    )
    done = run("status", "--json", MIRROR_CONFIG=str(path), MIRROR_DATABASE_URL=url)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [(each["mirror"], each["last_run"]) for each in json.loads(done.stdout)] == [
        ("a", None),
        ("c", None),
    ]
