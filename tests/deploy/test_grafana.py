"""Grafana's dashboards and Prometheus's rules: generated, provisioned, and every query runs."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from mirror.history import PostgresRecorder, psql
from mirror.history.database.address import parameters
from mirror.history.openmetrics import render
from mirror.history.reports import read_report, read_totals
from tests.history.made_history import NAME, NOW, at, make_counts, make_history, make_pulls

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy/grafana"
PROMETHEUS = ROOT / "deploy/prometheus"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
MACROS = {
    "$__timeFrom()": "timestamptz '2026-11-01'",
    "$__timeTo()": "timestamptz '2026-11-30'",
    "$mirror": "SELECT name FROM mirror",
}


def panels(file: str) -> list[Any]:
    found: list[Any] = json.loads((GRAFANA / "dashboards" / file).read_text())["panels"]
    return found


def titled(file: str) -> dict[str, Any]:
    return {panel["title"]: panel for panel in panels(file)}


@pytest.fixture
async def history(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)


def test_the_dashboards_are_those_of_their_source() -> None:
    built = runpy.run_path(str(GRAFANA / "build.py"))["dashboards"]()
    assert built.keys() == {file.name for file in (GRAFANA / "dashboards").iterdir()}
    for name, dashboard in built.items():
        written = json.loads((GRAFANA / "dashboards" / name).read_text())
        assert written == dashboard, "run deploy/grafana/build.py"


@pytest.mark.parametrize("title", titled("history.json"))
async def test_every_panel_of_the_history_has_rows(
    history: None, engine: sa.Engine, title: str
) -> None:
    panel = titled("history.json")[title]
    (target,) = panel["targets"]
    query = target["rawSql"]
    for macro, value in MACROS.items():
        query = query.replace(macro, value)
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL ROLE mirror_readonly"))
        cursor = connection.execute(sa.text(query.replace(":", "\\:")))
        names, rows = list(cursor.keys()), cursor.all()
    assert rows
    if panel["type"] == "timeseries":
        assert names[0] == "time"
        assert rows[0][0].tzinfo is not None
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@pytest.fixture
async def metric_names(history: None, engine: sa.Engine) -> set[str]:
    text = render(read_totals(engine, [NAME]), read_report(engine, at(20, 0), now=NOW))
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # as shipped
    return {sample.name for family in families for sample in family.samples} | {
        "hagicode_mirror_quota_least_remaining"
    }


async def test_every_metric_of_a_panel_or_a_rule_exists(metric_names: set[str]) -> None:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    queries = [panel["targets"][0]["expr"] for panel in panels("metrics.json")]
    queries += [rule["expr"] for rule in rules]
    named = {name for query in queries for name in re.findall(r"hagicode_mirror_\w+", query)}
    assert len(named) >= 12
    assert named - metric_names == set()


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid_and_fire_as_they_should() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_every_panel_of_the_metrics_is_valid_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": panel["targets"][0]["expr"].replace("$mirror", ".*")}
        for number, panel in enumerate(panels("metrics.json"))
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_grafana_logs_in_as_a_reader(url: str, engine: sa.Engine, history: None) -> None:
    arguments, _ = psql(url)
    program = next(each for each in arguments if each.endswith("psql"))
    address = make_conninfo("", **parameters(url))

    def run(password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                program,
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                f"--file={GRAFANA / 'login.sql'}",
                address,
            ],
            env={**os.environ, "GRAFANA_PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )

    assert "GRAFANA_PASSWORD is empty" in run("").stderr
    try:
        for password in ("one' two", "three"):  # the second time it is only renewed
            done = run(password)
            assert (done.returncode, done.stderr) == (0, "")
        login = make_conninfo(address, user="grafana", password="three")
        with psycopg.connect(login) as reader:
            assert reader.execute(b"SELECT count(*) FROM report_freshness").fetchone() == (1,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute(b"DELETE FROM mirror")
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP ROLE grafana"))


def test_compose_mounts_what_is_provisioned() -> None:
    mounted = [
        volume.split(":")[0]
        for name in ("grafana", "grafana-login", "prometheus")
        for volume in SERVICES[name]["volumes"]
        if volume.startswith("./")
    ]
    assert all((ROOT / path).exists() for path in mounted)
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/mirror.yaml").read_text())
    used = {
        panel["datasource"]["uid"]
        for file in ("history.json", "metrics.json")
        for panel in panels(file)
    }
    assert {source["uid"] for source in sources["datasources"]} == used
    hosts = {source["url"].split("//")[-1].split(":")[0] for source in sources["datasources"]}
    assert hosts <= SERVICES.keys()
