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


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True and "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["image"].partition(":")[0] != "postgres" or service["user"] == "postgres"


def secrets_of(name: str) -> set[str]:
    """The secrets of .env that a service is given, by name."""
    assert "env_file" not in SERVICES[name]  # all of them
    text = json.dumps([SERVICES[name].get("environment", {}), SERVICES[name].get("command", [])])
    given = set(re.findall(r"\$\{(\w+)", text))
    return {each for each in given if re.search("PASSWORD|TOKEN|SECRET|KEY|AUTH", each)}


def test_each_service_is_given_the_secrets_that_it_needs_and_no_others() -> None:
    alerts = {"DINGTALK_TOKEN", "DINGTALK_SECRET", "FEISHU_TOKEN", "FEISHU_SECRET", "WECOM_KEY"}
    alerts |= {"SMTP_PASSWORD"}
    registries = {"ALIYUN_ACR_PASSWORD", "AZURE_ACR_PASSWORD", "DOCKERHUB_TOKEN"}
    login, owner = {"PREFECT_API_AUTH_STRING"}, {"POSTGRES_PASSWORD"}
    reader = {"MIRROR_READER_PASSWORD"}
    history, prefect = {"MIRROR_WRITER_PASSWORD"} | reader, {"PREFECT_DATABASE_PASSWORD"}
    assert {name: secrets_of(name) for name in SERVICES} == {
        "postgres": owner,
        "prefect-database": owner | prefect,
        "migrate": owner | history,
        "prefect-server": login | prefect,
        "deploy": login,
        "worker": history | login | registries | alerts,
        "watch": history | login | registries | alerts,
        "watchdog": history | login | alerts,
        "publish": history,
        "site": reader | login | {"MIRROR_HOOK_SECRET"},
        "grafana-login": owner | {"GRAFANA_PASSWORD"},
        "prometheus": set(),
        "grafana": {"GRAFANA_PASSWORD"},
    }


def test_every_credential_that_mirrors_yaml_names_reaches_worker_and_watch() -> None:
    named = set(re.findall(r"\w+_env: (\w+)", (ROOT / "mirrors.yaml").read_text()))
    for name in ("worker", "watch"):
        assert named and named <= SERVICES[name]["environment"].keys()


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
    (base,) = re.findall(r"^ARG PYTHON=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] != "root"
    assert "uv sync --locked" in text


@pytest.mark.parametrize("name", ["uv.txt", "build.txt"])
def test_what_builds_the_rest_is_pinned_by_hash(name: str) -> None:
    assert f"--require-hashes -r requirements/{name}" in (ROOT / "Dockerfile").read_text()
    text = (ROOT / "requirements" / name).read_text()
    pinned = re.findall(r"^[a-z-]+==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 0


@pytest.mark.parametrize("file", sorted((ROOT / ".github/workflows").iterdir()), ids=str)
def test_every_action_is_pinned_by_commit(file: Path) -> None:
    for action in re.findall(r"uses: (\S+)", file.read_text()):
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
