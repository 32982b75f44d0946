"""`mirror report` in the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from rich.console import Console

from flows.cli.report import command
from flows.cli.show_report import show_report
from mirror.history import PostgresRecorder, reports
from tests.history.made_history import NOW, make_counts, make_history, make_pulls
from tests.support.records import MIRROR


@pytest.fixture
async def history(
    recorder: PostgresRecorder, engine: sa.Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The made history, as the database of the environment."""
    await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)


def report(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def shown(engine: sa.Engine, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    show_report(reports.read_report(engine, None, now=NOW), console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


async def test_goals_met_and_missed_with_their_samples(history: None, engine: sa.Engine) -> None:
    lines = {line.strip().split("  ")[0]: line.split() for line in shown(engine).splitlines()}
    assert lines["✘ runs that succeed"][4:9] == ["57.1%", "≥", "99%", "7", "runs"]
    assert lines["✔ pull speed against source"][5:10] == ["+50%", "≥", "+50%", "3", "pairs"]
    assert lines["✘ delay, 95 of 100 tags"][6:12] == ["46.6", "h", "≤", "30", "min", "5"]


async def test_what_was_not_measured_is_unknown(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    lines = [line for line in shown(engine).splitlines() if "?" in line]
    assert len(lines) == 6
    assert all("unknown" in line for line in lines)
    assert "100" not in shown(engine).replace("95 of 100", "")


async def test_a_block_for_each_day(history: None, engine: sa.Engine) -> None:
    lines = [line.split() for line in shown(engine).splitlines()]
    # 2/3, 1/2 and 1/2 of eight steps; 3/4, 1/2 and all.
    assert ["runs", "▆▅▅", "success", "rate"] in lines
    assert ["tags", "▇▅█", "success", "rate"] in lines


async def test_it_fits_a_narrow_terminal(history: None, engine: sa.Engine) -> None:
    assert max(map(len, shown(engine, width=80).splitlines())) <= 80
    assert "≥ 99%" in shown(engine, width=80)


async def test_json_holds_figures_rates_and_goals(history: None) -> None:
    document = json.loads(report("--since", "all", "--json").stdout)
    (mirror,) = document["mirrors"]
    assert (mirror["mirror"], mirror["runs"]["success_rate"]) == (MIRROR.name, 4 / 7)
    assert mirror["delay"]["p50"] == 3960.0
    assert {goal["name"]: goal["met"] for goal in mirror["goals"]}["adoption"] is True
    assert document["since"] is None


async def test_csv_holds_a_row_for_each_day(history: None) -> None:
    rows = list(csv.DictReader(report("--since", "all", "--csv").stdout.splitlines()))
    assert [row["day"] for row in rows] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert (rows[0]["runs"], rows[0]["delay_max_seconds"]) == ("3", "3960.0")


async def test_a_missed_goal_fails_a_check_and_nothing_else(history: None) -> None:
    assert report("--since", "all").exit_code == 0
    assert report("--since", "all", "--check").exit_code == 1


async def test_a_time_that_is_none_is_bad_usage(history: None) -> None:
    result = report("--since", "soon")
    assert result.exit_code == 2
    assert "7d" in result.output or "30m" in result.output


async def test_many_mirrors_are_a_row_each_and_those_that_miss_a_goal_come_first(
    history: None, recorder: PostgresRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.cli.report._WHOLE", 1)
    await recorder.ensure_mirror(replace(MIRROR, name="another", target="registry.example/other"))
    done = report("--since", "all")
    rows = [line.split() for line in done.stdout.splitlines()]
    (head,) = [at for at, row in enumerate(rows) if row[:1] == ["mirror"]]
    assert [row[0] for row in rows[head + 1 : head + 3]] == [MIRROR.name, "another"]
    assert "57.1%" in rows[head + 1]
    assert rows[head + 2][1] == "0/0"
    assert "2 mirrors, 1 with a missed goal" in done.stdout
    assert "days" not in report("--mirror", "another", "--since", "all").stdout.split("goal")[0]
