"""Commands for operators print JSON for scripts; what takes long is shown to people alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner

from flows.cli.backup import command as backup
from flows.cli.maintain import command as maintain
from flows.cli.migrate import command as migrate
from flows.cli.options import report_failures
from flows.cli.unlock import command as unlock
from flows.cli.watchdog import command as watchdog
from mirror.errors import DatabaseError
from mirror.history.database.address import answering
from mirror.outcome import Reason, TagFailure
from tests.cli.terminal import in_terminal

SLOW = """
import flows.cli.progress_bar as bar, threading
bar._QUIET_SECONDS = 0.01
shown = threading.Event()
start = bar.Progress.start
bar.Progress.start = lambda self: (start(self), self.refresh(), shown.set())
with bar.working("building the site"):
    assert shown.wait(30)
print("done")
"""


def test_migrate_and_maintain_print_one_object(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    done = CliRunner().invoke(migrate, ["--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert document["before"] == document["after"]
    done = CliRunner().invoke(maintain, ["--json"], catch_exceptions=False)
    assert {"partitions_made", "partitions_dropped"} <= json.loads(done.stdout).keys()


def test_unlock_watchdog_and_backup_print_one_object(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("MIRROR_CONFIG", str(tmp_path / "mirrors.yaml"))
    Path(tmp_path, "mirrors.yaml").write_text("mirrors: {m: {source: a/b, target: r.example/b}}")

    def document(command: click.Command, *arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert document(unlock, "m") == {
        "target": "r.example/b",
        "holder": None,
        "unlocked": False,
        "runs_closed": [],
    }
    assert (
        document(watchdog, "--once").items() >= {"opened": 0, "errors": [], "away": False}.items()
    )
    saved = document(backup, str(tmp_path / "backup.tar"))
    assert saved["file"] == str(tmp_path / "backup.tar")
    assert [one["name"] for one in saved["databases"]][:1] == ["history"]


def test_a_terminal_shows_what_takes_long_and_then_takes_it_back() -> None:
    out = in_terminal([sys.executable, "-c", SLOW], {})
    assert "building the site" in out
    assert out.rstrip().endswith("done")


def test_failures_of_one_cause_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    storage = [
        TagFailure(
            f"1.{number}", Reason.STORAGE, f"m/app:1.{number}: no space for sha256:{number}a"
        )
        for number in range(9)
    ]
    other = TagFailure("2.0", Reason.NETWORK, "m/app:2.0: reset")
    report_failures("m", [*storage, other])
    assert capsys.readouterr().err.splitlines() == [
        "mirror: m:1.0 and 8 more tags (1.1, 1.2, 1.3, 1.4, 1.5, ...):"
        " m/app:1.0: no space for sha256:0a (storage)",
        "mirror: m:2.0: m/app:2.0: reset (network)",
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (psycopg.errors.DiskFull("could not extend file"), r"is full: .*; free space there"),
        (psycopg.OperationalError("FATAL: No space left on device"), r"is full: .*; free space"),
        (psycopg.OperationalError("refused"), r"does not answer: .*; check MIRROR_DATABASE_URL"),
    ],
)
def test_a_full_disk_of_the_database_is_not_a_wrong_address(
    url: str, error: psycopg.Error, message: str
) -> None:
    with pytest.raises(DatabaseError, match=message), answering(url):
        raise error
