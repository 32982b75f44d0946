"""Commands settle Prefect's settings before they import it, which must come after."""

from __future__ import annotations

import subprocess
import sys


def test_commands_that_look_at_registries_do_not_import_prefect_before_they_run() -> None:
    modules = ", ".join(f"flows.cli.{name}" for name in ("audit", "doctor", "probe"))
    program = f"import sys, {modules}; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
