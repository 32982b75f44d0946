"""Commands settle Prefect's settings before they import it, which must come after."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["audit", "probe", "doctor"])
def test_a_command_does_not_import_prefect_before_it_runs(name: str) -> None:
    program = f"import sys, flows.commands.{name}; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
