"""What was measured: figures, the machine they were taken on, and the goals they are held to."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

OURS = "mirror"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One run of one tool.

    metrics by name: `seconds` is what is judged (`seconds.total` of ours, wall time of a peer);
    wall and cpu in seconds, peak in MB of memory, source_mb and target_mb carried by the links,
    and whatever the workload adds.
    """

    workload: str
    case: str
    tool: str
    round: int
    load: float
    metrics: Mapping[str, float]
    outcomes: tuple[Mapping[str, Any], ...] = ()  # what `mirror sync --json` printed


@dataclass(frozen=True, slots=True)
class Goal:
    """A metric of ours in one case, and the limit that its median has to keep."""

    workload: str
    case: str
    metric: str
    limit: float
    unit: str
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """True if the value keeps the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of one workload, as they are kept in results/."""

    workload: str
    title: str
    taken_at: str
    machine: Mapping[str, str]
    calibration: tuple[str, ...]
    figures: tuple[Figure, ...] = field(default=())

    def write(self, folder: Path = RESULTS) -> None:
        """Replace the workload's file."""
        folder.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / f"{self.workload}.json").write_text(text + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """The inverse of `write`."""
        raw = json.loads(path.read_text())
        figures = tuple(
            Figure(**{**each, "outcomes": tuple(each["outcomes"])}) for each in raw.pop("figures")
        )
        return cls(**{**raw, "calibration": tuple(raw["calibration"])}, figures=figures)

    def values(self, case: str, tool: str, metric: str) -> list[float]:
        """The metric in every round that has it."""
        return [
            each.metrics[metric]
            for each in self.figures
            if each.case == case and each.tool == tool and metric in each.metrics
        ]

    def middle(self, case: str, tool: str, metric: str) -> float | None:
        """The median, None where nothing was measured."""
        values = self.values(case, tool, metric)
        return median(values) if values else None

    def tools(self, case: str) -> list[str]:
        """Who ran the case, ours first."""
        names = dict.fromkeys(each.tool for each in self.figures if each.case == case)
        return sorted(names, key=lambda name: (name != OURS, name))


def now() -> str:
    """The present, in UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine(tools: Iterable[str]) -> dict[str, str]:
    """What the figures depend on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GB",
        "niceness": str(os.nice(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for package in ("prefect", "httpx", "aiohttp", "uvloop", "sqlalchemy"):
        found[package] = version(package)
    for tool in ("docker-registry", *tools):
        found[tool] = tool_version(tool)
    return found


def tool_version(tool: str) -> str:
    """The first line that the tool says of itself."""
    flag = "version" if tool in ("crane", "regctl", "regsync") else "--version"
    answer = subprocess.run([tool, flag], capture_output=True, text=True, check=False)
    lines = (answer.stdout or answer.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"
