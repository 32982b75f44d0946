"""make, .ci/run and the scripts behind them, as a newcomer's machine or a CI server runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import flows

ROOT = Path(flows.__file__).parents[1]


def run(
    *command: str, cwd: Path = ROOT, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    environment.pop("PYTHON", None)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(0o755)
    return path


def test_make_alone_lists_the_targets() -> None:
    listed = run("make").stdout
    for target in ("setup", "demo", "up", "test", "check", "bench", "shots"):
        assert f"make {target} " in listed


def test_every_script_is_sound_bash_and_executable() -> None:
    for path in (*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"):
        assert os.access(path, os.X_OK), path
        assert run("bash", "-n", str(path)).returncode == 0, path


def test_a_python_that_is_too_old_is_reported_in_one_line(tmp_path: Path) -> None:
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        script(tmp_path / name, 'case "$*" in *platform*) echo 3.9.2;; *) exit 1;; esac\n')
    done = run("scripts/python", path=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed (python3 here: 3.9.2)" in done.stderr


def test_packages_that_cannot_be_installed_are_named_with_the_command(tmp_path: Path) -> None:
    for tool in ("bash", "sudo"):
        script(tmp_path / tool, "exit 1\n" if tool == "sudo" else 'exec /bin/bash "$@"\n')
    script(tmp_path / "id", "echo 1000\n")
    done = run("/bin/bash", "scripts/system-packages", path=str(tmp_path))
    assert done.returncode == 1
    assert "sudo apt-get install docker-registry skopeo chromium" in done.stderr


def ci(tmp_path: Path, closing: str, code: int) -> subprocess.CompletedProcess[str]:
    """A copy of .ci/run next to a Makefile whose `test` prints and ends like that."""
    ci_run = script(tmp_path / "ci" / ".ci" / "run", "")
    ci_run.write_text((ROOT / ".ci" / "run").read_text())
    recipe = f"test:\n\t@echo '{closing}'; echo noise; exit {code}\n"
    (tmp_path / "ci" / "Makefile").write_text(recipe)
    return run(str(ci_run), cwd=tmp_path)


def test_ci_ends_with_the_closing_line_of_the_tests(tmp_path: Path) -> None:
    closing = "======= 12 passed in 3.45s ======="
    ran = ci(tmp_path, closing, 0)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, closing)


def test_ci_fails_when_the_tests_fail_and_still_ends_with_their_closing_line(
    tmp_path: Path,
) -> None:
    closing = "=== 2 failed, 12 passed, 1 error in 63.45s (0:01:03) ==="
    ran = ci(tmp_path, closing, 1)
    assert ran.returncode != 0
    assert ran.stdout.splitlines()[-1] == closing


def test_ci_says_so_when_no_test_ran(tmp_path: Path) -> None:
    ran = ci(tmp_path, "setup: no network", 2)
    assert ran.returncode != 0
    assert ran.stdout.splitlines()[-1] == "no tests ran"
