"""The plot compares what one run measured, and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.figures import OURS, Figure, Results
from bench.plot import bars, plot


def results(title: str, **walls: float) -> Results:
    """A workload with the wall seconds of some tools."""
    figures = tuple(
        Figure("I", "cold", OURS if tool == "ours" else tool, 0, 0.1, {"wall": wall})
        for tool, wall in walls.items()
    )
    return Results("I", title, "2026-11-26 23:00 UTC", {}, (), figures)


def test_a_workload_without_a_peer_is_left_out() -> None:
    drawn = plot([results("alone", ours=1.0), results("a & b", ours=8.0, crane=88.0)])
    words = [each.text for each in ElementTree.fromstring(drawn).iter() if each.text]
    assert "alone (2026-11-26)" not in words
    assert words[-5:] == ["a & b (2026-11-26)", "mirror", "8.0 s", "crane", "88.0 s"]
    assert "prefers-color-scheme: dark" in drawn


def test_bars_are_as_long_as_their_seconds() -> None:
    found = results("both", crane=80.0, ours=8.0)
    assert bars(found) == [(OURS, 8.0), ("crane", 80.0)]
    rects = [each for each in ElementTree.fromstring(plot([found])).iter() if "rect" in each.tag]
    ours, crane = (float(each.attrib["width"]) for each in rects)
    assert crane == 10 * ours
