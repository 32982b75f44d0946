"""Two mirrors of one source in one command."""

from __future__ import annotations

from dataclasses import replace

from bench.ours import Job
from bench.shape import Shape
from bench.sizes import REPOSITORY, Sizes
from bench.stage import Links, Session

SLOW = Shape.of(60, 8)  # 1 MB/s


def run_two(session: Session, sizes: Sizes, links: Links) -> None:
    """Two mirrors of one source in one command, against one mirror; then with a slow target."""
    slow = replace(links, target=SLOW)
    cases = (("two", sizes.a(), links), ("a slow one", sizes.a(tags=1), slow))
    for case, content, second in cases:
        with session.source([content]) as source:
            for round_ in range(session.rounds):
                with session.stage(source, links) as stage, stage.ours([REPOSITORY]) as ours:
                    one = ours.sync("m0")
                    stage.note("TWO", f"{case}: the first alone", round_, one)
                alone = session.figures[-1].metrics
                with (
                    session.stage(source, links) as stage,
                    session.stage(source, second) as other,
                    stage.ours([REPOSITORY]) as ours,
                ):
                    (first,) = stage.jobs([REPOSITORY])
                    ours.configure([first, Job("m1", first.source, f"{other.far}/copy/app")])
                    both = ours.sync("m0", "m1")
                    took = float(both.outcomes[0]["seconds"]["total"])
                    first_ratio, all_ratio = took / one.seconds, both.seconds / one.seconds
                    fetched = stage.fetched_bytes / 1e6 / alone["source_mb"]
                    stage.note(
                        *("TWO", f"{case}: both", round_, both),
                        first_ratio=first_ratio,
                        all_ratio=all_ratio,
                        source_ratio=fetched,
                    )
