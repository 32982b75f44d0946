"""What commands import before they run: the less, the sooner they answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = {"aiohttp", "httpx"}
PREFECT = {"prefect"}
SITE = {"jinja2", "mkdocs", "pygal"}
DATABASE = {"sqlalchemy", "alembic"}


def imported(modules: str) -> set[str]:
    """The packages that are there after importing these modules."""
    program = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_help_imports_no_models_and_no_tables() -> None:
    found = imported("flows.cli.app")
    assert found & (CLIENT | PREFECT | SITE | DATABASE | {"pydantic", "rich", "yaml"}) == set()


@pytest.mark.parametrize("name", ["status", "sql", "report", "config", "completion"])
def test_what_reads_the_history_imports_no_prefect_site_or_client(name: str) -> None:
    assert imported(f"flows.cli.{name}") & (CLIENT | PREFECT | SITE) == set()


@pytest.mark.parametrize("name", ["sql", "config", "completion"])
def test_what_needs_no_models_of_the_database_imports_none(name: str) -> None:
    assert imported(f"flows.cli.{name}") & DATABASE == set()


def test_commands_that_look_at_registries_do_not_import_prefect_before_they_run() -> None:
    # They settle Prefect's settings first, which must come before its import.
    modules = ", ".join(f"flows.cli.{name}" for name in ("audit", "doctor", "probe"))
    assert imported(modules) & PREFECT == set()


CONFIG = """
registries: {"127.0.0.1:1": {insecure: true}}
mirrors: {app: {source: "127.0.0.1:1/team/app", target: "127.0.0.1:1/copy/app"}}
"""


@pytest.mark.parametrize(
    ("command", "code"),
    [("--help", 0), ("status", 0), ("sql SELECT_1", 0), ("doctor", 1), ("config check", 0)],
)
def test_what_answers_at_once_runs_to_its_end_without_prefect_and_the_site(
    command: str, code: int, url: str, tmp_path: Path
) -> None:
    config = tmp_path / "mirrors.yaml"
    config.write_text(CONFIG)
    arguments = [word.replace("_", " ") for word in command.split()]
    program = (
        "import atexit, sys; from flows.cli import main;"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        f"main({arguments!r})"
    )
    env = {**os.environ, "MIRROR_CONFIG": str(config), "MIRROR_DATABASE_URL": url}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env)
    assert done.returncode == code, done.stderr[-500:]
    assert set(done.stderr.splitlines()[-1].split()) & (PREFECT | SITE) == set()
