"""docs/licenses.md lists what an installation contains."""

from __future__ import annotations

import re
import subprocess

from packaging.requirements import Requirement

from tests.papers.repository import ROOT

# What the page is written for: the container image.
IMAGE = {
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.14",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_of_the_lock_file_is_in_the_table_and_no_other() -> None:
    options = "--frozen --no-dev --all-extras --no-emit-project --no-hashes --no-annotate"
    exported = subprocess.run(
        ["scripts/uv", "export", *options.split(), "--no-header", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    needed = [Requirement(line) for line in exported.stdout.splitlines()]
    installed = {
        plain(one.name) for one in needed if one.marker is None or one.marker.evaluate(IMAGE)
    }
    page = (ROOT / "docs" / "licenses.md").read_text()
    table = page.partition("## All packages")[2]
    assert {plain(name) for name in re.findall(r"^\| (\S+) \| ", table, re.M)} - {
        "package"
    } == installed, "run `make licenses`, and see whether each new licence is permitted"
    assert "UNKNOWN" not in table
