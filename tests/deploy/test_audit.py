"""`make audit` never calls something safe that it could not look up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import flows

ROOT = Path(flows.__file__).parents[1]
GOOD = {"name": "yarl", "version": "1.25.1", "vulns": []}
BAD = {"name": "h11", "version": "0.1", "vulns": [{"id": "CVE-1", "fix_versions": ["0.16"]}]}
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "line"),
    [
        ([GOOD], 0, "no known vulnerability in 1 packages"),
        ([GOOD, BAD], 1, "h11 0.1: CVE-1, fixed in 0.16"),
        ([BAD, SKIPPED], 1, "CVE-1"),
        ([GOOD, SKIPPED], 3, "1 of 2 packages could not be looked up"),
        ([], 3, "0 of 0 packages"),
        (None, 3, "pip-audit gave no answer: Connection refused"),
    ],
)
def test_the_answer_of_pip_audit(
    packages: list[Any] | None, code: int, line: str, tmp_path: Path
) -> None:
    found, said = tmp_path / "found", tmp_path / "said"
    found.write_text("" if packages is None else json.dumps({"dependencies": packages}))
    said.write_text("Traceback\nConnection refused\n")
    program = (sys.executable, ROOT / ".ci/audit_result.py", found, said)
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == code
    assert line in done.stdout + done.stderr


def test_the_bill_of_materials_names_every_pinned_package_with_its_hash() -> None:
    done = subprocess.run(ROOT / "scripts/sbom", capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert document["bomFormat"] == "CycloneDX"
    names = {each["name"] for each in document["components"]}
    assert {"prefect", "psycopg", "starlette", "uvicorn"} <= names
    assert "pytest" not in names
