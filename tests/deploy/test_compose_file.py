"""docker-compose.yml as a document: valid, pinned, healthy, without secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import flows
from flows.local.prefect_programs import SERVER_SETTINGS
from tests.website.npm import installed

ROOT = Path(flows.__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
STEPS = {"prefect-database", "migrate", "deploy", "publish", "grafana-login"}


def test_it_is_a_valid_compose_file() -> None:
    schema = json.loads((installed("dclint") / "schemas" / "compose.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"([a-z]+/)?[a-z-]+:v?\d+\.\d+[\w.-]*", SERVICES[name]["image"])


def test_postgres_is_18_and_keeps_its_data_where_18_looks_for_it() -> None:
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - STEPS))
def test_every_service_that_stays_up_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_ends_and_is_waited_for(name: str) -> None:
    assert SERVICES[name]["restart"].startswith("on-failure")
    waiting = [
        service["depends_on"][name]["condition"]
        for service in SERVICES.values()
        if name in service.get("depends_on", {})
    ]
    assert waiting and set(waiting) == {"service_completed_successfully"}


def test_nothing_listens_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_every_variable_has_a_default_or_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", text):
        assert rest.startswith(":-") or re.search(rf"^{name}=", EXAMPLE, re.MULTILINE), name


def test_every_credential_that_mirrors_yaml_names_is_empty_in_the_example() -> None:
    mirrors = (ROOT / "mirrors.yaml").read_text()
    for name in re.findall(r"\w+_env: (\w+)", mirrors):
        assert re.search(rf"^{name}=$", EXAMPLE, re.MULTILINE), name


def test_prefect_keeps_its_own_history_for_a_week_as_in_mirror_up() -> None:
    assert SERVER_SETTINGS.items() <= SERVICES["prefect-server"]["environment"].items()
    week = 7 * 24 * 3600
    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"
    assert SERVER_SETTINGS[name] == str(week)


def test_the_image_is_pinned_and_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (base,) = re.findall(r"^FROM (python\S+)", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] != "root"
    assert "uv sync --locked" in text
    (uv,) = re.findall(r"uv==(\S+)", text)
    assert uv in (ROOT / "scripts" / "uv").read_text()
