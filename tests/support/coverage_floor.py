"""The branch coverage of a whole run: one line before pytest's closing line, and a floor.

scripts/test sets the floor, and thereby measures; any other run of pytest does not. SlipCover
instruments the modules in each worker, as they are imported: tests/conftest.py names this plugin
first.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

_FLOOR = os.environ.get("COVERAGE_FLOOR")  # per cent of lines and branches
_SOURCES = ["flows", "mirror"]
_RESULT = "coverage"
_worker: Any = None
_merged: dict[str, Any] = {}

if _FLOOR and "PYTEST_XDIST_WORKER" in os.environ:
    import slipcover

    _worker = slipcover.Slipcover(branch=True, source=_SOURCES)
    slipcover.ImportManager(_worker, slipcover.FileMatcher(sources=_SOURCES)).__enter__()


def summary(measured: dict[str, float], floor: float) -> tuple[str, bool]:
    """A line that says how much ran, and False if that is below the floor (per cent).

    `measured`: the `summary` of SlipCover's JSON.
    """
    share = measured["percent_covered"]
    lines = measured["covered_lines"] + measured["missing_lines"]
    branches = measured["covered_branches"] + measured["missing_branches"]
    line = (
        f"coverage: {share:.1f} % ({measured['covered_lines']} of {lines} lines,"
        f" {measured['covered_branches']} of {branches} branches), floor {floor:g} %"
    )
    return line, share >= floor


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Merge what a worker measured."""
    import slipcover

    output: dict[str, str] = getattr(node, "workeroutput", {})  # none of one that crashed
    if _RESULT not in output:
        return
    measured = json.loads(output[_RESULT])
    if _merged:
        slipcover.merge_coverage(_merged, measured)
    else:
        _merged.update(measured)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what a worker measured; in the main process fail a run that is below the floor."""
    if _worker is not None:
        session.config.workeroutput[_RESULT] = json.dumps(_worker.get_coverage())  # type: ignore[attr-defined]  # of pytest-xdist
    elif _FLOOR and _merged:
        _, enough = summary(_merged["summary"], float(_FLOOR))
        if not enough and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the line."""
    if _FLOOR and _merged:
        line, enough = summary(_merged["summary"], float(_FLOOR))
        terminalreporter.write_line(
            line if enough else f"{line}: FAILED", green=enough, red=not enough
        )
