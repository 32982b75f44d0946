"""What pip-audit found, for scripts/audit: exit 1 for a vulnerability, 3 if it could not look."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(found: Path, said: Path) -> int:
    """Print one line for each vulnerability, or why there is no answer."""
    try:
        packages = json.loads(found.read_text())["dependencies"]
    except (ValueError, KeyError):
        reason = (said.read_text().strip().splitlines() or ["no output"])[-1]
        return _unknown(f"pip-audit gave no answer: {reason[:200]}")
    for package in packages:
        for known in package.get("vulns", ()):
            fixed = ", ".join(known.get("fix_versions", ())) or "no release"
            print(f"audit: {package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    if any(package.get("vulns") for package in packages):
        return 1
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        return _unknown(f"{len(skipped)} of {len(packages)} packages could not be looked up")
    print(f"audit: no known vulnerability in {len(packages)} packages")
    return 0


def _unknown(reason: str) -> int:
    print(
        f"audit: {reason}: the vulnerability database at pypi.org is not reachable from here; run"
        " this where it is, or look at the workflow audit",
        file=sys.stderr,
    )
    return 3


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
