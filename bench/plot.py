"""`python -m bench.plot`: the wall times of ours and of its peers as docs/images/speed.svg.

Only cold syncs of which the same run measured a peer: what was measured apart proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.figures import OURS, RESULTS, Results

IMAGE = Path(__file__).parent.parent / "docs/images/speed.svg"
ROW, TOP, LEFT, WIDTH, ROOM = 22, 30, 110, 420, 90  # pixels
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #7d8590 }
  .ours { fill: #4493f8 }
}
"""


def bars(results: Results) -> list[tuple[str, float]]:
    """Each tool with its median of wall seconds for a cold sync, the quickest first."""
    found = {tool: results.middle("cold", tool, "wall") for tool in results.tools("cold")}
    return sorted(
        ((tool, seconds) for tool, seconds in found.items() if seconds is not None),
        key=lambda bar: bar[1],
    )


def plot(all_results: Iterable[Results]) -> str:
    """An SVG with a group of bars for each workload that has a peer; readable on light and dark."""
    parts: list[str] = []
    height = 0
    for results in all_results:
        group = bars(results)
        if len(group) > 1 and OURS in dict(group):
            parts += _group(results, group, height)
            height += TOP + ROW * len(group) + 12
    width = LEFT + WIDTH + ROOM
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img">',
            "<title>Seconds of wall time for a cold sync, shorter is better</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _group(results: Results, group: Sequence[tuple[str, float]], top: int) -> Iterable[str]:
    longest = max(seconds for _, seconds in group)
    title = f"{results.title} ({results.taken_at[:10]})"
    yield f'<text class="title" x="0" y="{top + 18}">{escape(title)}</text>'
    for at, (tool, seconds) in enumerate(group):
        y = top + TOP + at * ROW
        kind = "bar ours" if tool == OURS else "bar"
        length = max(1.0, WIDTH * seconds / longest)
        yield f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(tool)}</text>'
        yield f'<rect class="{kind}" x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="15"/>'
        yield f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{seconds:.1f} s</text>'


def main() -> None:
    """Draw what results/ holds."""
    IMAGE.write_text(plot(Results.read(path) for path in sorted(RESULTS.glob("*.json"))))
    print(IMAGE)


if __name__ == "__main__":
    main()
