"""`mirror sql` answers queries and cannot change anything."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from bench.record_queries import ready_queries
from flows.cli.sql import command
from mirror.history import PostgresRecorder, psql
from mirror.history.database.errors import QueryRefused
from mirror.history.reader import open_reader
from tests.cli.terminal import in_terminal
from tests.history.made_history import make_history
from tests.support.records import MIRROR

QUERIES = ready_queries()


@pytest.fixture
async def history(
    recorder: PostgresRecorder, engine: sa.Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The made history, as the database of the environment."""
    await make_history(recorder, engine)
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)


def sql(*arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


async def test_a_table_for_people(history: None) -> None:
    lines = sql("SELECT mirror, runs FROM report_success_rate ORDER BY day").stdout.splitlines()
    assert lines[0].split() == ["mirror", "runs"]
    assert lines[1].split() == [MIRROR.name, "3"]
    assert lines[-1] == "3 rows"


async def test_json_for_programs(history: None) -> None:
    query = "SELECT name, created_at, every, 1.5::numeric AS n, NULL AS nothing FROM mirror"
    assert json.loads(sql(query, "--json").stdout) == [
        {
            "name": MIRROR.name,
            "created_at": "2026-11-20T00:00:00+00:00",
            "every": 1800.0,
            "n": 1.5,
            "nothing": None,
        }
    ]
    assert json.loads(sql("SELECT 1 WHERE false", "--json").stdout) == []


async def test_csv_for_spreadsheets(history: None) -> None:
    out = sql("SELECT day, runs, 'a \"b\", c' AS text FROM report_success_rate", "--csv").stdout
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["day"] for row in rows} == {"2026-11-20", "2026-11-21", "2026-11-22"}
    assert rows[0]["text"] == 'a "b", c'


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM mirror", "read-only transaction"),
        ("CREATE TABLE mine (x int)", "read-only transaction"),
        ("RESET ROLE; DELETE FROM mirror", "multiple commands"),
        ("COMMIT; DELETE FROM mirror", "multiple commands"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT * FROM nothing_there", "does not exist"),
    ],
)
async def test_what_is_refused_is_said_in_one_line(
    history: None, url: str, engine: sa.Engine, query: str, said: str
) -> None:
    refusal = pytest.raises(QueryRefused, match=said)
    with open_reader(url) as reader, refusal as refused, reader.query(query):
        pass
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM mirror")) == 1


async def test_the_reader_may_see_partitions_made_later(
    history: None, url: str, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT make_partitions('2030-01-01', '2030-01-31')"))
    with open_reader(url) as reader, reader.query("SELECT count(*) FROM sync_run_2030_01") as rows:
        assert reader.as_role
        assert rows.fetchone() == (0,)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE tag_sync_2030_01"))


def test_without_a_query_psql_opens_and_cannot_write(
    history: None, url: str, engine: sa.Engine
) -> None:
    program = "from flows.cli import main; main(['sql'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="SELECT 'as ' || current_user;\nDELETE FROM mirror;\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "as mirror_readonly" in done.stdout
    assert "read-only transaction" in done.stderr
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM mirror")) == 1


async def test_a_query_comes_from_a_file_or_from_standard_input(
    history: None, tmp_path: Path
) -> None:
    file = tmp_path / "q.sql"
    file.write_text("-- how many\nSELECT count(*) AS n FROM mirror;\n", encoding="utf-8")
    assert json.loads(sql("--file", str(file), "--json").stdout) == [{"n": 1}]
    piped = CliRunner().invoke(command, ["-f", "-", "--csv"], input="SELECT 2 AS two")
    assert (piped.exit_code, piped.stdout) == (0, "two\n2\n")
    both = CliRunner().invoke(command, ["SELECT 1", "--file", str(file)])
    assert both.exit_code == 2


async def test_the_runs_of_the_troubleshooting_page_can_be_read_at_80_columns(
    history: None,
) -> None:
    query = "SELECT * FROM report_recent_runs"
    command = [sys.executable, "-c", "from flows.cli import main; main()", "sql", query]
    blocks = in_terminal(command, {"NO_COLOR": "1"}).split("\n\n")
    assert len(blocks) == 9
    for block in blocks:
        first, second, *_ = block.splitlines()
        assert re.fullmatch(r"mirror +hagicode-aliyun", first)
        assert re.fullmatch(r"run +[0-9a-f-]{36}", second)
        (started,) = [line for line in block.splitlines() if line.startswith("started_at")]
        assert re.fullmatch(r"started_at +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00", started)
        assert max(map(len, block.splitlines())) <= 80


def test_psql_shows_wide_rows_as_blocks_and_is_as_new_as_the_server(
    history: None, url: str
) -> None:
    arguments, environment = psql(url)
    assert {"--pset=expanded=auto", "--pset=null=-"} <= set(arguments)
    assert environment["LESS"]
    program = next(each for each in arguments if each.endswith("psql"))
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[2].partition(".")[0]) >= 18


@pytest.mark.parametrize("question", QUERIES)
async def test_every_ready_query_of_the_docs_runs_below_its_comment(
    history: None, question: str
) -> None:
    text = f"-- {question}\n{QUERIES[question].lstrip()}"
    assert isinstance(json.loads(sql("--json", text).stdout), list)
    assert sql(text).stdout.splitlines()[-1].split()[1] in ("row", "rows")
