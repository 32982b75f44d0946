"""What commands import before they run: the less, the sooner they answer."""

from __future__ import annotations

import subprocess
import sys

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
