"""RESULTS.md: the figures in results/ as tables, next to text that people wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import OURS, Goal, Results
from bench.workloads import WORKLOADS

BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
COLUMNS = {
    "seconds": "seconds",
    "wall": "wall s",
    "cpu": "CPU s",
    "peak": "peak MB",
    "source_mb": "fetched MB",
    "target_mb": "uploaded MB",
    "source_requests": "requests, source",
    "target_requests": "requests, target",
}
EARLIER = {
    "A": "crane 30.2, regsync 35.4, regctl 46.2, image-syncer 48.6, skopeo 53.0; unchanged: regctl"
    " 0.52, crane 0.75, regsync 1.2, image-syncer 4.0, skopeo 13.4",
    "B": "crane 19.0, regctl 58, image-syncer 66, regsync 159, skopeo 358; unchanged: crane 3.8,"
    " regctl 4.7, regsync 25, image-syncer 30",
    "C": "crane 24.7",
}
"""Seconds that were measured once, on the same kind of machine and links, by other means."""


def goal_rows(results: Results) -> Iterator[str]:
    """A row for each goal: the median that is judged, its range, whether it holds."""
    for goal in [*WORKLOADS[results.workload].goals, *relative(results)]:
        values = results.values(goal.case, OURS, goal.metric)
        middle = results.middle(goal.case, OURS, goal.metric)
        if middle is None:
            continue
        spread = f"{number(min(values))} to {number(max(values))}, {len(values)} rounds"
        verdict = "met" if goal.holds(middle) else "**missed**"
        yield (
            f"| {results.workload} | {goal.case} | {goal} | {number(middle)} | {spread} |"
            f" {verdict} |"
        )


def relative(results: Results) -> list[Goal]:
    """Goals whose limit is another figure of the same run."""
    if results.workload == "G":
        small, large = dict.fromkeys(each.case for each in results.figures)
        base = results.middle(small, OURS, "peak")
        return [] if base is None else [Goal("G", large, "peak", round(base + 10, 1), "MB peak")]
    skopeo = results.middle("cold", "skopeo", "cpu") if results.workload == "F" else None
    wall = results.middle("cold", "skopeo", "seconds")
    if skopeo is None or wall is None:
        return []
    return [
        Goal("F", "cold", "seconds", round(wall, 2), "s (skopeo's)"),
        Goal("F", "cold", "cpu", round(skopeo, 2), "CPU s (skopeo's)"),
    ]


def detail(results: Results) -> Iterator[str]:
    """All medians of one workload."""
    yield f"### {results.workload}: {results.title}"
    yield ""
    yield f"Taken {results.taken_at}, load average at the start of a run {loads(results)}."
    for line in results.calibration:
        yield f"Link {line}."
    yield ""
    extra = dict.fromkeys(
        name for each in results.figures for name in each.metrics if name not in COLUMNS
    )
    names = {**COLUMNS, **{name: name.replace("_", " ") for name in extra}}
    used = [name for name in names if any(name in each.metrics for each in results.figures)]
    yield "| case | tool | rounds | " + " | ".join(names[name] for name in used) + " | wall ratio |"
    yield "|---" * (len(used) + 4) + "|"
    for case in dict.fromkeys(each.case for each in results.figures):
        base = results.middle(case, OURS, "wall")
        for tool in results.tools(case):
            middles = [results.middle(case, tool, name) for name in used]
            cells = ["" if each is None else number(each) for each in middles]
            own = results.middle(case, tool, "wall")
            ratio = number(own / base) if own and base else ""
            count = len(results.values(case, tool, "seconds"))
            yield f"| {case} | {tool} | {count} | " + " | ".join(cells) + f" | {ratio} |"
    if earlier := EARLIER.get(results.workload):
        yield ""
        yield f"Measured earlier (seconds of wall time): {earlier}."
    yield ""


def loads(results: Results) -> str:
    """The range of load averages, which shows how idle the machine was."""
    found = [each.load for each in results.figures] or [0.0]
    return f"{min(found):.1f} to {max(found):.1f}"


def number(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def report(all_results: list[Results]) -> str:
    """The generated part."""
    lines = [
        "| | case | goal | median | range | |",
        "|---|---|---|---|---|---|",
        *(row for results in all_results for row in goal_rows(results)),
        "",
        "`wall s` is the time of the whole process, and what ours and a peer are compared by: `wall"
        " ratio` is a peer's over ours. `seconds` is the flow's own (`seconds.total`) for ours, and"
        " wall time for a peer. Medians of one run.",
        "",
        *(line for results in all_results for line in detail(results)),
        "### Machine",
        "",
        *(f"- {name}: {value}" for name, value in all_results[-1].machine.items()),
    ]
    return "\n".join(lines)


def _order(path: Path) -> int:
    return list(WORKLOADS).index(path.stem)


def write_results(folder: Path, page: Path) -> None:
    """Replace the generated part of RESULTS.md; the text around it stays."""
    found = [Results.read(path) for path in sorted(folder.glob("*.json"), key=_order)]
    text = page.read_text() if page.exists() else f"# Bench results\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{report(found)}\n\n{END}{after}")
